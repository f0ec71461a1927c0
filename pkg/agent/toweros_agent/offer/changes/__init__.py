"""Small files as what changed of ones that are here."""
