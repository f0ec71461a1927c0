"""What happened: events for people, and when each vulnerability came and went."""
