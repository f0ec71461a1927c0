"""A box's own key: Ed25519, made at provisioning; the server keeps the public half (32 bytes, hex).

private, public = make()
proves(public, text.encode(), signature)      # is this report the box's?
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gitops.errors import SignError
from gitops.model import sha256


def make() -> tuple[bytes, str]:
    """A new key: private (PEM, PKCS 8, not encrypted: it goes onto the box's disk, 0600), and public (hex)."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, key.public_key().public_bytes_raw().hex()


def public_key(text: bytes) -> str:
    """The public key (hex) that a file holds: 64 hex digits, or a PEM of a public or private Ed25519 key.

    Raises:
        SignError: it is none of these.
    """
    try:
        if b"PRIVATE KEY" in text:
            private = serialization.load_pem_private_key(text, None)
            key = private.public_key() if isinstance(private, Ed25519PrivateKey) else None
        elif b"PUBLIC KEY" in text:
            key = serialization.load_pem_public_key(text)  # type: ignore[assignment]
        else:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(text.decode().strip()))
        if isinstance(key, Ed25519PublicKey):
            return key.public_bytes_raw().hex()
    except (ValueError, TypeError):
        pass
    raise SignError("this is not an Ed25519 key", hint="give 64 hex digits, or a PEM file")


def text_of(private: bytes, public: str) -> bytes:
    """The key's file on the box: below its public half, which tells damage (docs/formats.md, "Disk")."""
    return b"public: " + public.encode() + b"\n" + private


def fingerprint(public: str) -> str:
    """What people compare, as `toweros-box status` shows it: 128 bits of the key's SHA-256."""
    digest = sha256(bytes.fromhex(public))
    return "-".join(digest[start : start + 4] for start in range(0, 32, 4))


def proves(public: str, data: bytes, signature: str) -> bool:
    """Whether `signature` (hex) over `data` was made with the private half of `public` (hex)."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError):
        return False
    return True
