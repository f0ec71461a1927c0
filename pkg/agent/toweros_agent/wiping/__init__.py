"""A box that Git asks to be wiped: it says so, and leaves the order where its initrd obeys it."""
