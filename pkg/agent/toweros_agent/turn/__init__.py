"""When it is this box's turn: what comes is fetched before, and a restart needs a permission that has not ended."""
