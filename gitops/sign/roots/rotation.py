"""The keys folder gets a new root: drafted, signed with the keys that are here, taken when enough have signed.

In: the folder, what changes, a passphrase. Out: N.root.json, the key that goes with it, and `next.root.json` while
signatures are missing. Rules: nothing that is in use changes before a draft has all its signatures; then the root comes
first and the online key after it; whoever was stopped in between goes on by any of these verbs; root keys that the
newest root does not name are moved aside, never removed.

    rotate(folder, "timestamp", Change(), passphrase, now)      # "" or who has still to sign
    take(folder, Path("next.root.json").read_bytes())
"""

import itertools
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PublicFormat,
    load_pem_public_key,
)
from securesystemslib.signer import CryptoSigner, Key, SSlibKey
from tuf.api.metadata import Metadata, Root

from gitops.errors import SignError
from gitops.files.named import named
from gitops.sign import keys, tuf
from gitops.sign.roots import draft as drafts
from gitops.sign.roots.draft import Change
from gitops.sign.tokens.held import HeldP256

NEXT = "next.root.json"
RETIRED = "retired"

AnyKey = Ed25519PrivateKey | HeldP256
"""One that signs metadata, here or in a token."""
Made = dict[Path, tuple[AnyKey, bytes]]
"""New keys that are not written yet: where each belongs, and its passphrase."""


@dataclass(frozen=True)
class RootKeys:
    """New root keys: `made` of them in the folder, `others` made elsewhere (their public halves), `held` in tokens that
    are here; and the threshold."""

    made: int = 0
    others: tuple[Path, ...] = ()
    threshold: int = 0
    held: tuple[AnyKey, ...] = ()


def rotate(folder: Path, role: str, passphrase: bytes, now: datetime, wanted: RootKeys | None = None) -> str:
    """A new key for an online role, or new keys for root; returns who has still to sign ("": it is done).

    A draft that waits for signatures is given up for the new one. An online role takes the first of `wanted.held`.

    Raises:
        SignError: a key cannot be unlocked, or none is here that may sign.
    """
    finish(folder)
    previous, made = newest(folder), Made()
    change = _new_root_keys(folder, previous, wanted or RootKeys(), made, passphrase) if role == "root" else Change()
    if role in tuf.ONLINE:
        key = next(iter(wanted.held if wanted else ()), None) or Ed25519PrivateKey.generate()
        signer = CryptoSigner(key)
        made[folder / f"{role}.{signer.public_key.keyid[:16]}.pem.new"] = (key, b"")
        change = Change({role: signer.public_key})
    return _carry_out(folder, drafts.make(previous, now, change), passphrase, made)


def renew(folder: Path, passphrase: bytes, now: datetime) -> str:
    """The same keys for longer; returns as `rotate` does."""
    finish(folder)
    return _carry_out(folder, drafts.make(newest(folder), now, Change()), passphrase, {})


def take(folder: Path, data: bytes) -> str:
    """Signatures that were made elsewhere; returns as `rotate` does.

    Raises:
        SignError: there is no draft here, or this one is another.
    """
    previous = newest(folder)
    try:
        ours = drafts.read((folder / NEXT).read_bytes())
    except OSError as error:
        raise SignError("no draft waits for signatures here", hint="`toweros keys rotate` makes one") from error
    if ours.signed.version == previous.version:  # stopped after the root, before the rest
        finish(folder)
        (folder / NEXT).unlink()
        return ""
    drafts.take(ours, drafts.read(data), previous)
    return _settle(folder, ours, previous)


def make_key(place: Path, passphrase: bytes, held: AnyKey | None = None) -> Path:
    """A root key for a ceremony, anywhere: PLACE is encrypted, or names one in a token; PLACE.pub is for the others.
    Returns the latter.

    Raises:
        SignError: there is one, or the passphrase is empty.
    """
    if place.exists() or not (passphrase or held):
        raise SignError(f"{place} is there already" if place.exists() else "a root key needs a passphrase")
    key = held or Ed25519PrivateKey.generate()
    _keep(place, key, passphrase)
    public = key.public_key()
    half = place.with_name(f"{place.name}.pub")
    keys.write(half, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), mode=0o644)
    return half


def sign_file(file: Path, key: CryptoSigner) -> Metadata[Root]:
    """Add a signature to a draft in a file, on any machine.

    Raises:
        SignError: the file is no draft, or the key does not sign.
    """
    try:
        draft = drafts.read(named(file, drafts.MAX_DRAFT))
    except OSError as error:
        raise SignError(f"{file}: {error.strerror}") from error
    # Of the root before, which is not here, any key may be one: whether it counts is seen when it comes back.
    drafts.sign(draft, [key.public_key], [key])
    keys.write(file, draft.to_bytes(), mode=0o644)
    return draft


def finish(folder: Path) -> None:
    """Go on where a run was stopped: a root that is not yet root.json, or names a key that is beside its place."""
    roots, root = keys.load_roots(folder), newest(folder)
    if (folder / "root.json").read_bytes() != roots[root.version]:
        keys.write(folder / "root.json", roots[root.version], mode=0o644)
    for role in tuf.ONLINE:
        for beside in keys.beside(folder, role):
            if keys.load_key(beside).public_key.keyid in root.roles[role].keyids:
                beside.replace(folder / f"{role}.pem")


def newest(folder: Path) -> Root:
    """The root that is in use, or becomes it by `finish`."""
    roots = keys.load_roots(folder)
    return Metadata[Root].from_bytes(roots[max(roots)]).signed


def _new_root_keys(folder: Path, previous: Root, wanted: RootKeys, made: Made, passphrase: bytes) -> Change:
    """As many as there were, unless it is said otherwise. Whoever has not the right passphrase makes none."""
    _here(folder, passphrase)
    others = tuple(_public(path) for path in wanted.others)
    count = wanted.made or (0 if others or wanted.held else len(previous.roles["root"].keyids))
    free = (folder / "root" / f"root-{previous.version + 1}-{number}.pem" for number in itertools.count(1))
    new = [*wanted.held, *(Ed25519PrivateKey.generate() for _ in range(count))]
    places = itertools.islice((place for place in free if not place.exists()), len(new))
    made.update({place: (key, passphrase) for place, key in zip(places, new, strict=True)})
    return Change(
        root=(*(CryptoSigner(key).public_key for key, _ in made.values()), *others), threshold=wanted.threshold
    )


def _keep(place: Path, key: AnyKey, passphrase: bytes) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys.write(place, keys.pem(key, BestAvailableEncryption(passphrase) if passphrase else NoEncryption()))


def _public(path: Path) -> Key:
    try:
        found = load_pem_public_key(named(path, drafts.MAX_DRAFT))
    except (OSError, ValueError) as error:
        raise SignError(f"{path} is no public key", hint="`toweros keys make FILE` makes both halves") from error
    p256 = isinstance(found, EllipticCurvePublicKey) and isinstance(found.curve, SECP256R1)
    if not isinstance(found, Ed25519PublicKey) and not p256:
        raise SignError(f"{path} is neither an Ed25519 nor a P-256 key")
    return SSlibKey.from_crypto(found)


def _here(folder: Path, passphrase: bytes) -> dict[Path, CryptoSigner]:
    """The root keys that are not offline."""
    places = sorted((folder / "root").glob("root-*.pem"))
    return dict(zip(places, keys.load_root_keys(places, passphrase), strict=True))


def _carry_out(folder: Path, draft: Metadata[Root], passphrase: bytes, made: Made) -> str:
    """Whatever can be refused is refused before the first key is written, and none is written over another."""
    previous, here = newest(folder), _here(folder, passphrase)
    signers = [*here.values(), *(CryptoSigner(key) for key, _ in made.values())]
    drafts.sign(draft, drafts.root_keys(previous, draft.signed), signers)
    for place, (key, lock) in made.items():
        _keep(place, key, lock)
    if missing := _settle(folder, draft, previous):
        return missing
    for path, signer in here.items():
        if signer.public_key.keyid not in draft.signed.roles["root"].keyids:
            (folder / "root" / RETIRED).mkdir(mode=0o700, exist_ok=True)
            path.replace(folder / "root" / RETIRED / path.name)
    return ""


def _settle(folder: Path, draft: Metadata[Root], previous: Root) -> str:
    """Keep a draft until it has its signatures; then it is the root."""
    keys.write(folder / NEXT, draft.to_bytes(), mode=0o644)
    if missing := drafts.lacking(draft, previous):
        return missing
    for name in (f"{draft.signed.version}.root.json", "root.json"):
        keys.write(folder / name, draft.to_bytes(), mode=0o644)
    finish(folder)
    (folder / NEXT).unlink()
    return ""
