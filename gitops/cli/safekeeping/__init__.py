"""The verbs that keep a controller's state safe."""
