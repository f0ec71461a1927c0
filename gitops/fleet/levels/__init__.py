"""What must hold of the levels together, once each is laid over the ones before it."""
