"""The key that signs the record of deployments."""
