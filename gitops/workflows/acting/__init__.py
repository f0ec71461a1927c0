"""What people do between two commits, whichever way they say it: the command line, the pages, the API."""
