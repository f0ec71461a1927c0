"""A bundle of sigstore's as a signature of an image, as `cosign sign --key` of version 3 writes it.

In: the bundle, the image's digest, public keys by name. Out: the name of the key that signed. Rules:

- The bundle is JSON of `dev.sigstore.bundle.v1.Bundle` (sigstore/protobuf-specs, protos/sigstore_bundle.proto), with a
  DSSE envelope of exactly one signature ("a client MUST reject" others), or a signature of the manifest's own bytes.
- The envelope's signature is over PAE(type, payload) (secure-systems-lab/dsse, protocol.md); nothing in the payload is
  looked at before it holds. The payload is an in-toto statement (in-toto/attestation, spec/v1) of the one kind that
  `cosign sign` makes, and one of its subjects is the image: anybody may put the bundle of another image beside ours.
- Hints (`publicKey.hint`, `keyid`) choose no key: all are tried. Logs and time stamps are not asked, as with `.sig`.
- What a certificate signed (keyless) is refused: whom to believe would be a list of names, not of keys.

    signer_of(bundle, digest, {"ada.pub": pem}, lambda: manifest)      # "ada.pub"
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from gitops.model import Json
from gitops.oci.signatures.keys import signer
from gitops.oci.signatures.referrers import SIGN

KINDS = (
    "application/vnd.dev.sigstore.bundle.v0.3+json",
    *(f"application/vnd.dev.sigstore.bundle+json;version=0.{minor}" for minor in (1, 2, 3)),
)
IN_TOTO = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
CERTIFICATES = ("certificate", "x509CertificateChain")
KEYLESS = "it was signed by a certificate (keyless), which counts for nothing here: `cosign sign --key`"
UNKNOWN_KEY = "signed by none of the keys in keys/cosign/"


def signer_of(bundle: bytes, digest: str, keys: Mapping[str, bytes], manifest: Callable[[], bytes]) -> str:
    """The name of the key. `manifest` gives the image's manifest, whose digest it is.

    Raises:
        ValueError: why it does not count.
    """
    content = _object(_parsed(bundle, "a bundle"), "a bundle")
    if (kind := content.get("mediaType")) not in KINDS:
        raise ValueError(f"a bundle of an unknown kind: {_shown(kind)}")
    material = _object(content.get("verificationMaterial"), "the verificationMaterial of a bundle")
    if any(material.get(name) for name in CERTIFICATES):
        raise ValueError(KEYLESS)
    envelope, message = content.get("dsseEnvelope"), content.get("messageSignature")
    if envelope and message:
        raise ValueError("a bundle with two contents")
    if message:
        return _of_bytes(_object(message, "a messageSignature"), digest, keys, manifest)
    return _of_envelope(_object(envelope, "the dsseEnvelope of a bundle"), digest, keys)


def _of_envelope(envelope: Json, digest: str, keys: Mapping[str, bytes]) -> str:
    kind, signatures = envelope.get("payloadType"), envelope.get("signatures")
    if kind != IN_TOTO:
        raise ValueError(f"a payload of type {_shown(kind)}, not {IN_TOTO}")
    if not isinstance(signatures, list) or len(signatures) != 1:
        count = len(signatures) if isinstance(signatures, list) else "no"
        raise ValueError(f"an envelope with {count} signatures, not one")
    payload = _bytes(envelope.get("payload"), "payload")
    signature = _bytes(_object(signatures[0], "a signature").get("sig"), "sig")
    name = signer(keys, signature, pae(IN_TOTO.encode(), payload))
    if not name:
        raise ValueError(UNKNOWN_KEY)
    statement = _object(_parsed(payload, "a statement"), "a statement")
    if statement.get("_type") != STATEMENT:
        raise ValueError(f"a statement of an unknown kind: {_shown(statement.get('_type'))}")
    if (predicate := statement.get("predicateType")) != SIGN:
        raise ValueError(f"what {name} signed is no signature of an image, but {_shown(predicate)}")
    if not any(_digest(subject) == digest for subject in _list(statement.get("subject"))):
        raise ValueError(f"the signature of {name} speaks of another image")
    return name


def _of_bytes(message: Json, digest: str, keys: Mapping[str, bytes], manifest: Callable[[], bytes]) -> str:
    """A signature of the manifest itself: what BUNDLE_SPEC.md calls "message-signature"."""
    if said := message.get("messageDigest"):
        about = _object(said, "a messageDigest")
        if about.get("algorithm") != "SHA2_256":
            raise ValueError(f"a digest by {_shown(about.get('algorithm'))}, not by SHA2_256")
        if _bytes(about.get("digest"), "digest").hex() != digest:
            raise ValueError("a signature that speaks of another image")
    name = signer(keys, _bytes(message.get("signature"), "signature"), manifest())
    if not name:
        raise ValueError(UNKNOWN_KEY)
    return name


def pae(kind: bytes, body: bytes) -> bytes:
    """What a DSSE signature is over (secure-systems-lab/dsse, protocol.md, "Signature Definition")."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)


def _digest(subject: object) -> object:
    digests = subject.get("digest") if isinstance(subject, dict) else None
    return digests.get("sha256") if isinstance(digests, dict) else None


def _parsed(data: bytes, what: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is no JSON") from error


def _object(value: object, what: str) -> Json:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is missing, or no object")
    return value


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _bytes(value: object, what: str) -> bytes:
    """base64, of both alphabets and with or without its end: so JSON of protocol buffers may have it."""
    try:
        text = str(value or "").replace("-", "+").replace("_", "/").rstrip("=")
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError as error:
        raise ValueError(f"`{what}` is no base64") from error


def _shown(value: object) -> str:
    return repr(value)[:80]
