"""Small documents that outlive the process: what they are, and where they are kept."""
