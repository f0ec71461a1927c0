"""Images of others that a fleet repo names by a tag: which, and what each tag means (images.lock)."""
