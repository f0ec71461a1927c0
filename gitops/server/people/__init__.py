"""What people and monitors read: the page, the API, metrics and probes."""
