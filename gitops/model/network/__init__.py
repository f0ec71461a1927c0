"""How a box is wired: links, name servers, proxy, certificates, clocks; and what of it cannot be."""
