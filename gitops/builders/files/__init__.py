"""Locked files as files: from one place, out of a folder, onto a stick."""
