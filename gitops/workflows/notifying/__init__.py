"""People are told of what happens, by the rules of Git and the receivers of the settings."""
