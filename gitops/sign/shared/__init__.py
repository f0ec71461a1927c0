"""The repository that all boxes share, for agents of before (ADR 108)."""
