"""A machine that has no name yet asks who it is (docs/joining.md)."""
