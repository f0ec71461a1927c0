"""Rows of the database as they are read, and what becomes of those that are damaged."""
