"""Files that somebody named."""
