"""Verbs that write disks and media, and take images of others."""
