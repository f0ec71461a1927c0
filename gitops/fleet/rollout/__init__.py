"""The section `rollout:` of fleet.yaml."""
