"""What an object of Git may be: whole, within bounds, as `git fsck` accepts it."""
