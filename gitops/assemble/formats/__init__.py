"""What leaves as one file: a disk, a tar."""
