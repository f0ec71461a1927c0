"""The record of deployments: what was deployed and when, signed, in a ref of its own; the remote's copy of it."""
