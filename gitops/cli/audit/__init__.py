"""`toweros audit`, and how verbs write down what they do."""
