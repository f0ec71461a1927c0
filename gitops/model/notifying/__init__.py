"""Who is told of what: rules of fleet.yaml, and what happened."""
