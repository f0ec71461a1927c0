"""How carefully releases reach boxes: in waves, in windows, never too many at once."""
