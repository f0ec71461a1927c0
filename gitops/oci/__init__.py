"""Images that come from elsewhere: registry (HTTP), image (pull, push), cosign (signatures), layout (folders)."""
