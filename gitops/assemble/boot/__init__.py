"""What the firmware starts: initrd, kernel modules, UKI and addon."""
