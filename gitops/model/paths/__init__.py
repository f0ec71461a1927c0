"""Paths of a fleet repo, and the patterns that people write for them."""
