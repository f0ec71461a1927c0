"""Public keys as cosign has them, and what they signed.

In: PEM (SubjectPublicKeyInfo), a signature, what was signed. Out: the name of the key. Rules: ECDSA over SHA-256, or
over the hash of the curve's own size; Ed25519; RSA from 2048 bits on, PKCS #1 v1.5 over SHA-256
(sigstore/protobuf-specs, sigstore_common.proto, "PublicKeyDetails"). What is no such key signed nothing.

    signer({"ada.pub": pem}, signature, payload)       # "ada.pub"; empty: none of them
"""

from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

MIN_RSA = 2048
OF_CURVE = {"secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}


def signer(keys: Mapping[str, bytes], signature: bytes, payload: bytes) -> str:
    """The name of the first key that made a signature; empty: none did."""
    return next((name for name, pem in keys.items() if _signed(pem, signature, payload)), "")


def _signed(pem: bytes, signature: bytes, payload: bytes) -> bool:
    try:
        key = load_pem_public_key(pem)
        if isinstance(key, ec.EllipticCurvePublicKey):
            return _by_curve(key, signature, payload)
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, payload)
        elif isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA:
            key.verify(signature, payload, padding.PKCS1v15(), hashes.SHA256())
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _by_curve(key: ec.EllipticCurvePublicKey, signature: bytes, payload: bytes) -> bool:
    for algorithm in filter(None, (hashes.SHA256(), OF_CURVE.get(key.curve.name))):
        try:
            key.verify(signature, payload, ec.ECDSA(algorithm))
        except InvalidSignature:
            continue
        return True
    return False
