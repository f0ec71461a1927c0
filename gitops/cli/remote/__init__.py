"""`toweros box logs` and `toweros box shell`."""
