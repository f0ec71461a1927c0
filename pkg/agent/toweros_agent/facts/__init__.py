"""What an operator asks of a box that is well: addresses, memory, disks, temperature, clock (contracts/report)."""
