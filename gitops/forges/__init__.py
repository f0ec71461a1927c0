"""What a forge (GitHub and the like) can do for us, behind one Protocol."""
