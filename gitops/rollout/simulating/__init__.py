"""A month of commits in seconds: what the rules would do."""
