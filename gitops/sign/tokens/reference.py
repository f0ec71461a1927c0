"""A key file that names a key in a token: the URI on its first line, then the public half (PEM).

In: a file's text, or a URI. Out: a key that signs. Rules: the token is asked for the public half once, when the file is
made; from then on what we know of the key does not hang on a token that may be away, or another; the URI may be edited
by hand, as when a token was replaced by its copy, the public half stays.

    pkcs11:token=fleet;object=targets?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/toweros/pin
    -----BEGIN PUBLIC KEY-----
"""

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gitops.errors import SignError
from gitops.sign.tokens import uri as uris
from gitops.sign.tokens.held import AnyHeld, held
from gitops.sign.tokens.session import Question, ask
from gitops.sign.tokens.uri import Uri

P256 = "06082a8648ce3d030107"
"""The curve's OID, as CKA_EC_PARAMS has it."""


def is_reference(data: bytes) -> bool:
    """Whether a key file names a key in a token."""
    return data.startswith(uris.SCHEME.encode())


def read(path: Path, data: bytes) -> AnyHeld:
    """The key that the file at `path` names; no token is asked.

    Raises:
        SignError: the URI says too little, or too much; the public half is not there.
    """
    line, _, half = data.partition(b"\n")
    uri = uris.parse(line.decode(errors="replace"), f"{path}:1")
    try:
        public: Any = load_pem_public_key(half)
    except ValueError as error:
        hint = "`toweros keys move FILE --key URI`, where FILE holds the public half, writes both"
        raise SignError(f"{path}:2: the public half (PEM) of {uri} should be here", hint=hint) from error
    return held(uri, public, memory(path))


def found(uri: Uri, memory: Path | None = None) -> AnyHeld:
    """The key that is in the token now, as it says itself.

    Raises:
        TokenError: see `session.ask`. SignError: no such kind signs here.
    """
    said = ask(uri, Question("public"), memory)
    try:
        return held(uri, _public(said), memory)
    except ValueError as error:
        raise SignError(f"{uri}: the token says no public key", hint="import its public half again") from error


def memory(path: Path) -> Path:
    """Where a refused PIN is noted for the key at `path`: one place for a keys folder, `root/` included."""
    return path.parent.parent if path.parent.name == "root" else path.parent


def _public(said: dict[str, Any]) -> object:
    if said["kind"] == "rsa":
        return RSAPublicNumbers(int(said["e"], 16), int(said["n"], 16)).public_key()
    point = bytes.fromhex(said["point"])
    if said["kind"] == "ed25519":  # 32 bytes, as they are or in an OCTET STRING (PKCS#11 3.0, 2.3.5)
        return Ed25519PublicKey.from_public_bytes(point[-32:])
    if said["curve"] != P256:
        raise ValueError("another curve")
    return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point[-65:])
