"""LinuxKit's root tree, and the runtime spec of each container in it."""
