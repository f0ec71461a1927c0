"""Private keys that sign in a token, in the clothes of `cryptography`'s: TUF, DSSE, SSH and X.509 take them so.

In: where the key is, its public half. Out: signatures that hold. Rules: each is verified with the public half that we
know before anybody sees it, so that a token that errs, or is another, spoils nothing; nothing else is done with a key:
who asks for its numbers is told that it has none.

    key = held(uri, public, folder)         # HeldEd25519, HeldP256 or HeldRsa
    CryptoSigner(key)
"""

from pathlib import Path
from typing import Any, NoReturn, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata

from gitops.errors import SignError, TokenError
from gitops.sign.tokens.session import Question, ask
from gitops.sign.tokens.uri import Uri

MINE = "the key lies in a token, which does not give it away"


class Held:
    """What they have in common."""

    def __init__(self, uri: Uri, public: Any, memory: Path | None) -> None:
        self._uri, self._public, self._memory = uri, public, memory

    @property
    def text(self) -> bytes:
        """The file that stands where the private key would: the URI, and the public half."""
        half: bytes = self._public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return self._uri.text.encode() + b"\n" + half

    def public_key(self) -> Any:
        return self._public

    def _ask(self, data: bytes) -> bytes:
        return bytes.fromhex(ask(self._uri, Question("sign", data), self._memory)["signature"])

    def _verify(self, signature: bytes, data: bytes, *how: object) -> bytes:
        try:
            self._public.verify(signature, data, *how)
        except InvalidSignature:
            hint = "is it the right token? The key in it is another one by now, or the token is broken"
            raise TokenError(f"{self._uri} made a signature that does not hold", hint=hint) from None
        return signature

    def _never(self, *_: object, **__: object) -> NoReturn:
        raise SignError(f"{self._uri}: {MINE}")

    private_bytes = private_bytes_raw = private_numbers = decrypt = exchange = _never

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


class HeldEd25519(Held, Ed25519PrivateKey):
    """Ed25519, by CKM_EDDSA."""

    def sign(self, data: Any) -> bytes:
        return self._verify(self._ask(bytes(data)), bytes(data))


class HeldP256(Held, EllipticCurvePrivateKey):
    """ECDSA with P-256 and SHA-256, as most cards have it."""

    curve = SECP256R1()
    key_size = 256

    def sign(self, data: Any, signature_algorithm: Any) -> bytes:
        raw = self._ask(_digest(data))
        whole = encode_dss_signature(*(int.from_bytes(half, "big") for half in (raw[:32], raw[32:])))
        return self._verify(whole, bytes(data), ECDSA(SHA256()))


class HeldRsa(Held, RSAPrivateKey):
    """RSA with SHA-256 and PKCS 1 v1.5: what firmware takes."""

    @property
    def key_size(self) -> int:
        return int(self._public.key_size)

    def sign(self, data: Any, padding: Any, algorithm: Any) -> bytes:
        if not isinstance(padding, PKCS1v15) or not isinstance(algorithm, SHA256):
            raise SignError(f"{self._uri} signs with PKCS 1 v1.5 and SHA-256 only")
        return self._verify(self._ask(_digest(data)), bytes(data), PKCS1v15(), SHA256())


AnyHeld = HeldEd25519 | HeldP256 | HeldRsa


def held(uri: Uri, public: object, memory: Path | None) -> AnyHeld:
    """The class for this public half.

    Raises:
        SignError: nothing here signs with such a key.
    """
    if isinstance(public, Ed25519PublicKey):
        return HeldEd25519(uri, public, memory)
    if isinstance(public, RSAPublicKey):
        return HeldRsa(uri, public, memory)
    if isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1):
        return HeldP256(uri, public, memory)
    raise SignError(f"{uri} is neither Ed25519, nor P-256, nor RSA")


def sign(document: Metadata[Any], signer: CryptoSigner, *, append: bool = False) -> None:
    """Sign TUF metadata. The library wraps what a key says; it is for people, so it comes out again.

    Raises:
        TokenError: see `session.ask`.
    """
    try:
        document.sign(signer, append=append)
    except UnsignedMetadataError as error:
        if isinstance(error.__cause__, SignError):
            raise error.__cause__ from None
        raise


def _digest(data: Any) -> bytes:
    made = Hash(SHA256())
    made.update(bytes(data))
    return made.finalize()
