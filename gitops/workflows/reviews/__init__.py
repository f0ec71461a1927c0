"""Pull requests are reviewed, and the rollout is shown on the forge."""
