"""LinuxKit's own YAML: how it is read, and what may stand in it."""
