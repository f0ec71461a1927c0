"""SSH signatures: what they say of themselves, what is refused at once, and what ssh-keygen is asked."""
