"""Whose signature an image carries, in cosign's format (sigstore/cosign, specs/SIGNATURE_SPEC.md).

In: an image by digest, public keys by name. Out: the name of the key that signed it. Rules: a signature counts only for
the digest that its payload names; the keys are those of the fleet repo, no certificate or log is asked.

    verify_signature(registry, "osmocom/osmo-hlr", digest, {"ada.pub": pem})     # -> "ada.pub"
"""

import base64
import json
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gitops.errors import RegistryError
from gitops.model import Json
from gitops.oci.registry import Registry, hex_of, parse

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
KIND = "cosign container image signature"
"""The payload's own word for what it is (containers/image, signature-format: simple signing)."""


def verify_signature(registry: Registry, repository: str, digest: str, keys: Mapping[str, bytes]) -> str:
    """The name of the key that signed an image.

    Raises:
        RegistryError: there is no signature, or none by a key of `keys` that speaks of this digest.
    """
    name = f"{registry.host}/{repository}@sha256:{digest}"
    hint = "sign it with `cosign sign --key`, and put the public key into keys/cosign/ of the fleet repo"
    if not registry.has(repository, f"manifests/sha256-{digest}.sig"):
        raise RegistryError(f"{name} is not signed", hint=hint)
    manifest = parse(registry.document(repository, f"manifests/sha256-{digest}.sig")[0], repository)
    reasons = []
    layers = manifest.get("layers")
    for layer in layers if isinstance(layers, list) else []:
        try:
            return _signer(registry, repository, digest, layer, keys)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            reasons.append(str(error))
    raise RegistryError(f"{name}: {'; '.join(reasons) or 'its signature is empty'}", hint=hint)


def _signer(registry: Registry, repository: str, digest: str, layer: Json, keys: Mapping[str, bytes]) -> str:
    """One signature. Raises ValueError with the reason when it does not count."""
    if layer["mediaType"] != SIMPLE_SIGNING:
        raise ValueError(f"a signature of an unknown kind: {layer['mediaType']}")
    payload, _ = registry.document(repository, f"blobs/{layer['digest']}", hex_of(layer["digest"]))
    signature = base64.b64decode(layer["annotations"][SIGNATURE], validate=True)
    signer = next((name for name, pem in keys.items() if _signed(pem, signature, payload)), "")
    if not signer:
        raise ValueError("signed by none of the keys in keys/cosign/")
    critical = json.loads(payload)["critical"]
    # Anybody may put the signature of one image beside another: the payload says which one was meant.
    if critical["type"] != KIND or critical["image"]["docker-manifest-digest"] != f"sha256:{digest}":
        raise ValueError(f"the signature of {signer} speaks of another image")
    return signer


def _signed(pem: bytes, signature: bytes, payload: bytes) -> bool:
    try:
        key = load_pem_public_key(pem)
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, payload, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, payload)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True
