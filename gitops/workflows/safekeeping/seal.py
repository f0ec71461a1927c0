"""Who made a backup: a signature over the digest of its list, which names every byte of the rest (docs/formats.md).

In: the keys folder. Out: the member `signature.json`; or nothing, when it proves that a controller with our keys made
the backup. Rules: the builder's key signs, as it does for all that the controller says it made; what is signed begins
with words that nothing else which that key signs begins with (DSSE's begin `DSSEv1`); its public half, in the same
folder, is believed, and the one before it as long as it still signs along; a key id in the file is a hint.

    archive.write(file, head, sources, sign(settings.keys))
    check(file, seal, settings.keys)
"""

import json
from collections.abc import Callable
from pathlib import Path

from gitops.errors import DocumentError, SignError, StoreError
from gitops.model import Builders, canonical
from gitops.sign.box import proves
from gitops.sign.keys import BUILDER, load_builders
from gitops.workflows.safekeeping.archive import Seal

FORMAT = 1
UNSIGNED = "or, where you know by other means who made it: --unsigned"


def sign(keys: Path) -> Callable[[str], bytes]:
    """What makes the member of a list's digest.

    Raises:
        SignError: there is no builder's key.
    """
    signers = load_builders(keys)
    if not signers:
        hint = "set `keys` to the controller's, or make one: `toweros keys rotate builder`; or pass --unsigned"
        raise SignError(f"nothing signs the backup: {keys} has no builder.pem", hint=hint)
    signer = signers[0]

    def member(listed: str) -> bytes:
        key, signature = signer.public_key.keyval["public"], signer.sign(_words(listed)).signature
        return canonical({"format": FORMAT, "key": key, "signature": signature})

    return member


def check(file: Path, seal: Seal, keys: Path) -> None:
    """Return if one of ours has signed it.

    Raises:
        StoreError: nobody has, or somebody else, or it was changed since; or there is nothing to prove it by.
    """
    if not seal.signature:
        hint = f"name one that is: `toweros backup` signs since format 2; {UNSIGNED}"
        raise StoreError(f"nobody has signed {file}", hint=hint)
    believed = _believed(keys)
    if not believed:
        hint = f"put the keys back first, or the fleet repo's keys/{BUILDER} alone; {UNSIGNED}"
        raise StoreError(f"nothing proves who made {file}: {keys} has no {BUILDER}", hint=hint)
    key, signature = _read(seal.signature)
    if key not in believed:
        hint = f"set `keys` to those of this backup, or name a backup of this fleet; {UNSIGNED}"
        raise StoreError(f"{file} was made with other keys than {keys} has: {key[:16]} has signed it", hint=hint)
    if not proves(key, _words(seal.listed), signature):
        hint = "take another backup: somebody has changed this one"
        raise StoreError(f"{file} is not what {key[:16]} has signed: it was changed", hint=hint)


def _words(listed: str) -> bytes:
    return f"TowerOS backup with the list {listed}\n".encode()


def _read(data: bytes) -> tuple[str, str]:
    """Key and signature, hex; empty: it cannot be read."""
    try:
        document = json.loads(data)
        return str(document["key"]), str(document["signature"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", ""


def _believed(keys: Path) -> set[str]:
    """Of the public half, and of the private ones: while two sign, it names the newer alone."""
    found = {str(signer.public_key.keyval["public"]) for signer in load_builders(keys)}
    try:
        return found | {*Builders.parse((keys / BUILDER).read_bytes()).keys}
    except (OSError, DocumentError):
        return found
