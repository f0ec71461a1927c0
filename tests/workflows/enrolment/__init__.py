"""Whose reports count under a box's name."""
