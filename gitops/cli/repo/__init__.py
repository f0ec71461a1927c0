"""Verbs on a fleet repo in a folder: what it may say, and what its packages are made from."""
