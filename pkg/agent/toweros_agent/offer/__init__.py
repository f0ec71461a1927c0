"""What the server offers, and its way onto the disk."""
