"""Signatures of images: public keys, what a registry has about an image (referrers), sigstore's bundles."""
