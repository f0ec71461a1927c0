"""Steps of the chains: each makes one file of others. A step takes its `Work` and knows no other step."""
