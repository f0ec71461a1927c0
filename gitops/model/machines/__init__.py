"""Machines: how their disks are divided, and who they are before they have a name."""
