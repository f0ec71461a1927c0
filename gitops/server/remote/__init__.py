"""Sessions of people on boxes, passed on unread."""
