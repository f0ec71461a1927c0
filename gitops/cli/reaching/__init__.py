"""Boxes that are reached from the desk: a login, and what only they may know."""
