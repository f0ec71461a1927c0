"""Keys in tokens: SoftHSM, as it is and with faults."""
