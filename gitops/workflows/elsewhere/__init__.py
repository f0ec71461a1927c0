"""What boxes fetch, published at other places too, beside the loop: `rounds`; what is said of them: `told`."""
