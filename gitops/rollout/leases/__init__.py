"""Permissions to restart: given for a while, taken back, given back."""
