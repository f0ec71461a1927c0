"""Advisories of others: where they are, what they say, and how late that is."""
