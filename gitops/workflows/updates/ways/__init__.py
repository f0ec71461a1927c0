"""Ways on which updates go out."""
