"""The verbs on this installation itself."""
