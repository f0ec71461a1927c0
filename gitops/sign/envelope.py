"""DSSE envelopes (Dead Simple Signing Envelope 1.0): a payload with signatures over it and over its type.

In: a payload and keys. Out: an envelope, canonical JSON; or the payload again. Rules: only in-toto statements are
sealed here, and only what says that it is one is opened; a key id is a hint, as the specification has it: what counts
is whether one of the keys that were asked for has signed; nothing is parsed that is larger than any box would take.

    data = seal(claim.encode(), [signer])
    claim = Claim.parse(unseal(data, builders.keys))
"""

import base64
import json
from collections.abc import Collection, Sequence

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError
from securesystemslib.signer import CryptoSigner

from gitops.errors import SignError
from gitops.model import MAX_ATTESTATION, canonical
from gitops.model.provenance import PAYLOAD
from gitops.sign.box import proves


def seal(payload: bytes, signers: Sequence[CryptoSigner]) -> bytes:
    """An envelope with a signature by each of `signers`."""
    made = Envelope(payload, PAYLOAD, {})
    for signer in signers:
        made.sign(signer)
    return canonical(made.to_dict())


def unseal(data: bytes, keys: Collection[str]) -> bytes:
    """What is in an envelope that one of `keys` (Ed25519, hex) has signed.

    Raises:
        SignError: none has, or it is no envelope with a statement.
    """
    if not signed_by(data, keys):
        raise SignError("no builder that we believe has signed it")
    return _open(data).payload


def signed_by(data: bytes, keys: Collection[str]) -> set[str]:
    """Which of `keys` have signed it.

    Raises:
        SignError: it is no envelope with a statement.
    """
    made = _open(data)
    signed = made.pae()
    return {key for key in keys if any(proves(key, signed, each.signature) for each in made.signatures.values())}


def _open(data: bytes) -> Envelope:
    if len(data) > MAX_ATTESTATION:
        raise SignError(f"it has more than {MAX_ATTESTATION} bytes")
    try:
        document = json.loads(data)
        base64.b64decode(document["payload"], validate=True)
        # A hint that is missing, or there twice, changes nothing for us; the library wants one each.
        for number, signature in enumerate(document["signatures"]):
            signature["keyid"] = str(number)
        made = Envelope.from_dict(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, FormatError) as error:
        raise SignError(f"it is no envelope: {type(error).__name__}: {error}") from error
    if made.payload_type != PAYLOAD:
        raise SignError(f"it holds {made.payload_type!r}, not {PAYLOAD}")
    return made
