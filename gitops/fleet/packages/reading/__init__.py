"""A Dockerfile, read from above: instructions -> scope (stages, arguments, what was found) -> steps, flags."""
