"""What a NOC says of itself."""
