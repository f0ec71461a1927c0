"""What is inside: components out of locks, packages and layers, and the documents that say so."""
