"""User containers: what a compose file may say, and which of its services must run."""
