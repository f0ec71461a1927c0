"""What goes from a site to its origin: what boxes say, and how the NOC is."""
