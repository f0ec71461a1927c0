"""What a shell offers behind the words that are typed."""
