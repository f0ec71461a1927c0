"""Images that come from elsewhere: registries, signatures, layouts."""
