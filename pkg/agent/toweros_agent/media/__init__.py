"""What is on a stick or a disc, read without mounting it (ADR 82).

The agent (`toweros_agent.media`) and the controller (`gitops.noc.media`) have the same files: a test holds them alike.
"""

NAME = "toweros-bundle.json"
"""What a bundle has in its uppermost folder (contracts/bundle)."""
