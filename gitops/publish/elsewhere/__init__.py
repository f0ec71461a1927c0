"""What the update server serves, copied to where anything can serve it: a folder, an S3-compatible store, a registry.

tree        what there is to copy: the server's own published files, by their paths
kinds       what a path is: its type, how long it may be kept, in which order it appears (pure)
place       what each place can do, and a folder
objects     an S3-compatible store
registry    an OCI registry
copying     one pass over one place
connect     the places of the settings

Rules: metadata last, `timestamp.json` the last of all; only what is missing; whatever stops it anywhere, the next pass
goes on. A place is believed nothing: boxes check what it gives them, as from any server.
"""
