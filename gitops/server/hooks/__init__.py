"""What forges send: that there is something new."""
