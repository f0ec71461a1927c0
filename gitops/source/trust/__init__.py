"""Whom we believe: policy, signatures, release tags, and what was deployed before."""
