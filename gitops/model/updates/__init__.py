"""The nouns of security updates: when they are looked for, what may move, what became of it."""
