"""What `git add` would make of the files in a folder of a user's: what stays out, their modes, their bytes."""
