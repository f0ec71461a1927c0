"""What waits for its turn, brought to a site before it."""
