"""A box whose firmware is a BIOS: GRUB starts it, nobody checks that, and what is tried is counted in a block."""
