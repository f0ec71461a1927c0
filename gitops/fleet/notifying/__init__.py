"""The section `notify:` of fleet.yaml."""
