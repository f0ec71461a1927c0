"""Images as files: out of an OCI layout, an archive, LinuxKit's cache or a Docker engine, into the store."""
