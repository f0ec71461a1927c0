"""Media on which a release reaches a machine: disks, and what makes them."""
