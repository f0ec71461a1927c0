"""Boxes on this machine: QEMU, and the demo."""
