"""A TPM proves that it is the one that is listed."""
