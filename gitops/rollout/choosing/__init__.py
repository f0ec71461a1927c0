"""Which boxes are meant, and in which order they are looked at."""
