"""Images that come from elsewhere: registry (HTTP), manifest (which image a digest names), image (pull, push), plain
(unpacked), cosign and trust (signatures), layout (folders), elsewhere (in the store, whichever way)."""
