"""Other certificates for the firmware."""
