"""The verbs on what is inside, and what is wrong with it."""
