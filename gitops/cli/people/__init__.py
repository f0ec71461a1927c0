"""The verbs on who may log in, and on tokens of programs."""
