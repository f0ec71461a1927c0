"""Where what boxes run comes from: claimed and signed when it is made, checked by building it again."""
