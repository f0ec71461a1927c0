"""Security updates: looked for on a schedule, tried, and offered as commits."""
