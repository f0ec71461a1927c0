"""The repositories of metadata at an origin: each box's own, each site's, and the one that all boxes share."""
