"""A TPM proves that it is the one whose endorsement key is listed."""
