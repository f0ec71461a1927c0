"""What the firmware and the boot loader start, compared with what was signed."""
