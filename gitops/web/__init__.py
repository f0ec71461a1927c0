"""Servers that nobody vouches for are asked: mirrors, archives, feeds, whatever a lock names."""
