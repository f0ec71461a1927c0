"""Mutants of bench/mutate.py that do the same as what they replace, or differ where nobody can see it: why, each."""

ALIKE: dict[str, str] = {}
