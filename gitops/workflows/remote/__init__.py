"""A person asks for logs or a shell of a box."""
