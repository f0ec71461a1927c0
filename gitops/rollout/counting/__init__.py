"""How many of a wave, a site, a label are how, while it is decided."""
