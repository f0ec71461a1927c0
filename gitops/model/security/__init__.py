"""What is inside of images, and what is known to be wrong with it."""
