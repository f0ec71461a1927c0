"""Images of others by tag: where they are asked for, and whose signature they need."""
