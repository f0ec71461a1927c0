"""Deltas between any two layers: which are worth making, which go, and how one is made."""
