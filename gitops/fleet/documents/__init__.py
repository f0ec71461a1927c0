"""Documents of a fleet repo: YAML with the place of every value, and models checked into problems with a fix."""
