"""What an object of Git may be."""
