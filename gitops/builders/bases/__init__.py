"""Base images of others under a package: fetched by digest, checked, lent to a builder that has no network."""
