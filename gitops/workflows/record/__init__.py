"""What was deployed is written down, signed, and compared with what others wrote."""
