"""Who waits for what people read: whose turn it is, and how many may wait."""
