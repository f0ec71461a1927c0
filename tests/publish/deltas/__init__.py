"""Deltas between any two layers."""
