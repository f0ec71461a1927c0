"""Images become a release: layers named by their verity root, the root tree, the boot files, the disk."""
