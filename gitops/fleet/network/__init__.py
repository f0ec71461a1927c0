"""`network:` at every level: what it may say, how levels are merged, and what is wrong with the whole."""
