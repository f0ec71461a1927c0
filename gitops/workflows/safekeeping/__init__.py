"""What cannot be made again, in one file, and back: `toweros backup` and `toweros restore`."""
