"""How the box gets out, as Git says it."""
