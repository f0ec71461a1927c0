"""What a command line asks of a machine: LinuxKit's words for disks, ports and networks, read and checked."""
