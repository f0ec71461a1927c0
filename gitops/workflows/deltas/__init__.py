"""Deltas from what boxes run to what they are asked to run, made beside the loop."""
