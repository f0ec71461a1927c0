"""Whether a machine has what TowerOS needs of it."""
