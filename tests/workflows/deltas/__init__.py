"""Deltas that are made while nobody waits."""
