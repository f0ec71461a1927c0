"""Tags of images in the schedule."""
