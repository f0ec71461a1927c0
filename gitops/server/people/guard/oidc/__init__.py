"""Login by an OpenID Connect provider: the provider, what it claims, and the way there and back."""
