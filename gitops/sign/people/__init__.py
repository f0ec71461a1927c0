"""Who may log in to a box through the server: certificates for people."""
