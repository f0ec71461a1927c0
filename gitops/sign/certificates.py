"""Secure Boot keys: PK, KEK and db, each RSA-2048 with a self-signed certificate.

RSA-2048 because every firmware accepts it (UEFI 2.10, 32.4.1); valid for decades because firmware has no clock to trust
and a box that refuses to boot on a date is a lost box.
"""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509.oid import NameOID

from gitops.errors import SignError
from gitops.sign.tokens.held import HeldRsa

NAMES = ("PK", "KEK", "db")
BITS = 2048
LIFETIME = 30 * 365
"""Days."""


def make(name: str, now: datetime, held: HeldRsa | None = None) -> tuple[bytes, bytes]:
    """A new private key (PEM, PKCS 8, not encrypted; or where it is) and its certificate (PEM).

    Raises:
        SignError: the token's key is one that firmware may not take, or the token does not sign.
    """
    if held and held.key_size != BITS:
        raise SignError(f"the key in the token has {held.key_size} bits, and firmware takes {BITS}")
    key: RSAPrivateKey = held or rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"TowerOS {name}")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=LIFETIME))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    certificate = builder.sign(key, hashes.SHA256())
    if held:
        return held.text, certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)


def expiry(certificate: bytes) -> datetime:
    """When a certificate (PEM) ends."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc.astimezone(UTC)
