"""The verbs on the rollout."""
