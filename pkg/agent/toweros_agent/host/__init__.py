"""What the box is made of: its disk, what boots, what the firmware tries, and the watchdog."""
