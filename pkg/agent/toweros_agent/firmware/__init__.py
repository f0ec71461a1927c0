"""What the firmware trusts, and how that changes."""
