"""OpenPGP for floods: what a signature says of itself, the listed keys in one ring, and many signatures in one run."""
