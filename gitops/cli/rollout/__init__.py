"""The verbs on the rollout, and what holds boxes or has them try again."""
