"""What each page shows, as values: for the templates, and for the JSON that says the same."""
