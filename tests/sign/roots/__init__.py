"""Roots: new keys, new lifetimes, and ceremonies."""
