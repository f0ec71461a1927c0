"""Whose signature an image carries: under cosign's tag, or in a bundle beside the image.

In: an image by digest, public keys by name. Out: the name of the key that signed it. Rules: a signature counts only for
the digest that its payload names; the keys are those of the fleet repo, no certificate or log is asked; one that counts
is enough, whatever else lies beside it. The tag `sha256-DIGEST.sig` holds payloads of simple signing (sigstore/cosign,
specs/SIGNATURE_SPEC.md); version 3 writes bundles instead (`signatures/`).

    verify_signature(registry, "osmocom/osmo-hlr", digest, {"ada.pub": pem})     # -> "ada.pub"
"""

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain

from gitops.errors import RegistryError
from gitops.model import Json
from gitops.oci.registry import Registry, hex_of, parse
from gitops.oci.signatures.bundle import UNKNOWN_KEY, signer_of
from gitops.oci.signatures.keys import signer
from gitops.oci.signatures.referrers import Attached, bundles

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
KIND = "cosign container image signature"
"""The payload's own word for what it is (containers/image, signature-format: simple signing)."""
LONGEST = 300.0
"""Seconds for all signatures of one image."""
MAX_REASONS, MAX_REASON = 8, 300
"""Reasons that are told, and their letters."""
HINT = "sign it with `cosign sign --key`, and put the public key into keys/cosign/ of the fleet repo"


class UnsignedError(RegistryError):
    """Nobody signed an image."""


def verify_signature(registry: Registry, repository: str, digest: str, keys: Mapping[str, bytes]) -> str:
    """The name of the key that signed an image.

    Raises:
        UnsignedError: there is no signature. RegistryError: none by a key of `keys` that speaks of this digest.
    """
    name, until = f"{registry.host}/{repository}@sha256:{digest}", time.monotonic() + LONGEST
    reasons, looked = list[str](), 0
    found = chain(_tagged(registry, repository, digest, keys), _bundled(registry, repository, digest, keys, reasons))
    for attempt in found:
        looked += 1
        if time.monotonic() > until:
            raise RegistryError(f"{name}: its signatures take more than {LONGEST:.0f} seconds", transient=True)
        try:
            return attempt()
        except RegistryError as error:
            if error.transient:
                raise
            reasons.append(error.message)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            reasons.append(str(error))
    said = "; ".join([each[:MAX_REASON] for each in dict.fromkeys(reasons)][:MAX_REASONS])
    if not looked:
        raise UnsignedError(f"{name} is not signed{f' ({said})' if said else ''}", hint=HINT)
    raise RegistryError(f"{name}: {said}", hint=HINT)


def _tagged(registry: Registry, repository: str, digest: str, keys: Mapping[str, bytes]) -> Iterator[Callable[[], str]]:
    """The signatures under the tag, each to be looked at."""
    path = f"manifests/sha256-{digest}.sig"
    if not registry.has(repository, path):
        return
    data, _ = registry.document(repository, path)
    try:
        layers = parse(data, repository).get("layers")
    except RegistryError:  # what is no manifest is as good as an empty one
        layers = None
    if not isinstance(layers, list) or not layers:
        yield _empty
        return
    for layer in layers:
        yield partial(_signer, registry, repository, digest, layer, keys)


def _bundled(
    registry: Registry, repository: str, digest: str, keys: Mapping[str, bytes], reasons: list[str]
) -> Iterator[Callable[[], str]]:
    """The bundles beside the image, each to be looked at."""

    def look(found: Attached) -> str:
        return signer_of(found.read(), digest, keys, manifest)

    def manifest() -> bytes:
        return registry.document(repository, f"manifests/sha256:{digest}", digest)[0]

    for found in bundles(registry, repository, digest, reasons):
        yield partial(look, found)


def _empty() -> str:
    raise ValueError("its signature is empty")


def _signer(registry: Registry, repository: str, digest: str, layer: Json, keys: Mapping[str, bytes]) -> str:
    """One signature. Raises ValueError with the reason when it does not count."""
    if layer["mediaType"] != SIMPLE_SIGNING:
        raise ValueError(f"a signature of an unknown kind: {layer['mediaType']!r}")
    payload, _ = registry.document(repository, f"blobs/{layer['digest']}", hex_of(layer["digest"]))
    name = signer(keys, base64.b64decode(layer["annotations"][SIGNATURE], validate=True), payload)
    if not name:
        raise ValueError(UNKNOWN_KEY)
    critical = json.loads(payload)["critical"]
    # Anybody may put the signature of one image beside another: the payload says which one was meant.
    if critical["type"] != KIND or critical["image"]["docker-manifest-digest"] != f"sha256:{digest}":
        raise ValueError(f"the signature of {name} speaks of another image")
    return name
