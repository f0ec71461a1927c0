"""The next root as a document that people carry from key to key.

In: the root before, what is to change. Out: root metadata with some signatures, and who is missing. Rules: a new root
is signed by as many keys as the root before asks for, and by as many as it asks for itself (TUF 5.3.4); a signature by
any other key is not taken; a draft that is for another root than the next one is refused.

    draft = make(previous, now, Change(online={"timestamp": key}))
    sign(draft, previous, signers)
    lacking(draft, previous)            # "" when boxes take it, else a sentence
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from securesystemslib.exceptions import StorageError, UnverifiedSignatureError, VerificationError
from securesystemslib.signer import CryptoSigner, Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root
from tuf.api.serialization import DeserializationError

from gitops.errors import SignError, TokenError
from gitops.model import sha256
from gitops.sign import tuf
from gitops.sign.tokens import held

log = structlog.get_logger(__name__)

MAX_DRAFT = 512_000
"""Bytes: what boxes take of a root."""


@dataclass(frozen=True)
class Change:
    """What a new root changes; nothing: it lives longer. `root`: all root keys; `threshold`: how many of them sign."""

    online: Mapping[str, Key] = field(default_factory=dict)
    root: tuple[Key, ...] = ()
    threshold: int = 0


def make(previous: Root, now: datetime, change: Change) -> Metadata[Root]:
    """The root after `previous`, with no signature yet.

    Raises:
        SignError: its threshold cannot be met.
    """
    new = Root(version=previous.version + 1, expires=tuf.expiry("root", now), consistent_snapshot=True)
    for role in ("root", *tuf.ONLINE):
        before = previous.roles[role]
        keys: Iterable[Key] = [previous.keys[each] for each in before.keyids]
        if role == "root" and change.root:
            keys = change.root
        elif role in change.online:
            keys = [change.online[role]]
        for key in keys:
            new.add_key(key, role)
        new.roles[role].threshold = before.threshold
    root = new.roles["root"]
    root.threshold = change.threshold or root.threshold
    if not 1 <= root.threshold <= len(root.keyids):
        raise SignError(f"a threshold of {root.threshold} cannot be met by {len(root.keyids)} root keys")
    return Metadata(new)


def read(data: bytes) -> Metadata[Root]:
    """A draft.

    Raises:
        SignError: it is none.
    """
    try:
        if len(data) > MAX_DRAFT:
            raise ValueError("too large")
        draft = Metadata[Root].from_bytes(data)
        if not isinstance(draft.signed, Root):
            raise ValueError("not a root")
    except (DeserializationError, RepositoryError, StorageError, ValueError, KeyError, TypeError) as error:
        raise SignError(f"this is no draft of a root: {error}", hint="`toweros keys rotate` makes one") from error
    return draft


def sign(draft: Metadata[Root], keys: Iterable[Key], signers: Iterable[CryptoSigner]) -> int:
    """Add the signatures of those `signers` whose key is one of `keys`; how many that are. A token that is away leaves
    it to the others, if one of them has signed.

    Raises:
        TokenError: no other has.
    """
    wanted, signed, away = {key.keyid for key in keys}, 0, list[TokenError]()
    for signer in signers:
        if signer.public_key.keyid in wanted:
            try:
                held.sign(draft, signer, append=True)
                signed += 1
            except TokenError as error:
                log.warning("root.unsigned", why=error.message, hint=error.hint)
                away.append(error)
    if away and not signed:
        raise away[0]
    return signed


def root_keys(*roots: Root) -> list[Key]:
    """Whose signature counts for one of these roots."""
    return list({keyid: root.keys[keyid] for root in roots for keyid in root.roles["root"].keyids}.values())


def take(ours: Metadata[Root], other: Metadata[Root], previous: Root) -> None:
    """Add the signatures that somebody brings back.

    Raises:
        SignError: they are for another draft, or one of them does not hold.
    """
    if ours.signed != other.signed:
        hint = f"the digests differ: {digest(ours)} is what was drafted here"
        raise SignError(f"this is another draft: {digest(other)}", hint=hint)
    known = {key.keyid: key for key in root_keys(previous, ours.signed)}
    for keyid, signature in other.signatures.items():
        try:
            if keyid in known:
                known[keyid].verify_signature(signature, ours.signed_bytes)
                ours.signatures[keyid] = signature
        except (UnverifiedSignatureError, VerificationError) as error:
            raise SignError(f"the signature of {keyid[:8]} does not hold", hint="sign the draft again") from error


def lacking(draft: Metadata[Root], previous: Root) -> str:
    """Who has still to sign before boxes take it; "" when enough have."""
    if draft.signed.version != previous.version + 1:
        raise SignError(f"root {draft.signed.version} does not follow root {previous.version}", hint="draft it again")
    found = draft.signed.get_root_verification_result(previous, draft.signed_bytes, draft.signatures)
    sides = (("of the root before", found.first), ("of the new root", found.second))
    return "; ".join(
        f"{len(side.signed)} of {side.threshold} keys {words} have signed, not: "
        + ", ".join(sorted(keyid[:8] for keyid in side.unsigned))
        for words, side in sides
        if not side.verified
    )


def digest(draft: Metadata[Root]) -> str:
    """What all who sign compare: 128 bits of what is signed."""
    whole = sha256(draft.signed_bytes)
    return "-".join(whole[start : start + 4] for start in range(0, 32, 4))


def words(draft: Metadata[Root]) -> list[str]:
    """What somebody signs, line by line."""
    new = draft.signed
    lines = [f"root {new.version}, ends {new.expires:%Y-%m-%d}, digest {digest(draft)}"]
    for role in ("root", *tuf.ONLINE):
        keys = ", ".join(f"{keyid[:8]}{' (signed)' if keyid in draft.signatures else ''}" for keyid in
                         sorted(new.roles[role].keyids))  # fmt: skip
        lines.append(f"{role}: {new.roles[role].threshold} of {len(new.roles[role].keyids)}: {keys}")
    return lines
