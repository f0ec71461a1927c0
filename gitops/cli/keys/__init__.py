"""The verbs on keys."""
