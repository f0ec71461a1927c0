"""A box that the network starts, with all that it runs in memory."""
