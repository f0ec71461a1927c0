"""Locks of a whole fleet repo, moved forward together."""
