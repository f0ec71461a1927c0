"""A plan carried out, box by box."""
