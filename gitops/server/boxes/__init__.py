"""What boxes fetch and say: metadata, targets and layers by digest; signed reports."""
