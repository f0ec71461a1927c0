"""Logs and a shell for people, through the server, if the release allows it."""
