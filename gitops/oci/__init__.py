"""Images that come from elsewhere: registry (HTTP), image (pull, push), cosign and trust (signatures), layout
(folders), elsewhere (in the store, whichever way)."""
