"""What a box does beside its releases: clock, firmware, loader, its disk."""
