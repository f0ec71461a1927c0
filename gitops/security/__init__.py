"""What is inside of images and releases, what is wrong with it, and when it is looked at again."""
