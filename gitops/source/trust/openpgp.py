"""OpenPGP signatures, checked by gpg in a home folder of its own: no key ring of this machine, no network, no agent.

In: signature, signed bytes, key files by name (keys/openpgp/NAME.asc; each also carries its own revocations).
Out: the NAMEs whose files hold the key. Machine-readable status lines only (GnuPG's doc/DETAILS).
"""

import re
import tempfile
from collections.abc import Container, Sequence
from datetime import UTC, datetime
from pathlib import Path

from gitops.errors import STAYS, Reason, SourceError
from gitops.fleet.keys import gpg
from gitops.source.trust.pgp import packet, ring

REFUSALS = {
    "REVKEYSIG": (Reason.revoked_key, "is signed by a revoked key"),
    "EXPKEYSIG": (Reason.expired_key, "is signed by an expired key"),
    "EXPSIG": (Reason.expired_key, "has a signature that has expired"),
    "BADSIG": (Reason.bad_signature, "has a bad signature"),
    "NO_PUBKEY": (Reason.unknown_key, "is signed by an unknown key"),
}


VALIDSIG, BINARY = 11, "00"
"""Words of that line, and the class of a signature that is of these very bytes (doc/DETAILS; RFC 4880, 5.2.1)."""
WEAK = {"1": "MD5", "2": "SHA-1", "3": "RIPE-MD/160"}
"""Digests that are no longer hard to meet twice (RFC 4880, 9.4)."""


def check(
    name: str, signature: bytes, payload: bytes, keys: Sequence[tuple[str, bytes]], at: int | None
) -> tuple[str, ...]:
    """The names of the files that hold the key. `at`: Unix seconds at which the key must be valid; None: now.

    Raises:
        SourceError: with a `reason`.
    """
    listed = ring.of(keys)
    with listed.home() as (home, words):
        (home / "signature").write_bytes(signature)
        # `!` stops the clock there (gpg(1)).
        when = [f"--faked-system-time={datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%S}!"] if at is not None else []
        talk = gpg.ask([*words, *when, "--verify", str(home / "signature"), "-"], payload)
    return listed.owners[key_of(name, talk, listed.owners)]


def claims(signature: bytes, keys: Sequence[tuple[str, bytes]]) -> bool:
    """Whether a listed key may have made it, as far as it says itself; what cannot be read may be anybody's.

    Raises:
        SourceError: a key file holds no key.
    """
    claim = packet.read(signature)
    return claim is None or not claim.issuers.isdisjoint(ring.of(keys).ids)


def identities(keys: Sequence[tuple[str, bytes]]) -> list[tuple[str, ...]]:
    """What says that two are one: of each key file its name, its keys' fingerprints and the addresses in them."""
    return [(name, *_marks(key)) for name, key in keys if key.strip()]


def _marks(key: bytes) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="toweros-") as folder:
        words = gpg.command(Path(folder))
        gpg.ask([*words, "--import"], key)  # `--show-keys` would say nothing of a file with an expired key
        rows = [line.split(":") for line in gpg.ask([*words, "--with-colons", "--list-keys"], b"").split("\n")]
    addresses = [mail for row in rows if row[0] == "uid" for mail in re.findall(r"<([^<>\s]+@[^<>\s]+)>", row[9])]
    return [*(row[9] for row in rows if row[0] == "fpr"), *addresses]


def key_of(name: str, talk: str, owners: Container[str]) -> str:
    """The fingerprint of the listed primary key that signed `name`, by what gpg said of it.

    Raises:
        SourceError: it counts for nothing; with a `reason`.
    """
    status = gpg.status(talk)
    words = [row[0] for row in status]
    # A signature packet may stand beside another one in the same armour.
    if words.count("NEWSIG") > 1:
        raise SourceError(f"{name} has more than one signature", hint=STAYS, reason=Reason.several_signatures)
    for word, (reason, text) in REFUSALS.items():
        if word in words:
            raise SourceError(f"{name} {text}", hint=f"sign it with an allowed key; {STAYS}", reason=reason)
    # Its last field is the primary key's fingerprint, whichever subkey signed (doc/DETAILS).
    valid = [row for row in status if row[0] == "VALIDSIG" and len(row) == VALIDSIG]
    if "GOODSIG" not in words or len(valid) != 1:
        raise SourceError(f"{name} has a bad signature", hint=f"sign it again; {STAYS}", reason=Reason.bad_signature)
    if valid[0][-1] not in owners:
        raise SourceError(f"{name} is signed by an unknown key", hint=STAYS, reason=Reason.unknown_key)
    if (digest := valid[0][8]) in WEAK:
        message = f"{name} has a bad signature: by {WEAK[digest]}, which proves nothing any more"
        raise SourceError(message, hint=f"sign it again, without `digest-algo`; {STAYS}", reason=Reason.bad_signature)
    if valid[0][9] != BINARY:
        # One of text holds for other line ends, too: not for these words alone.
        message = f"{name} has a bad signature: one of text"
        raise SourceError(message, hint=f"sign it again, without `textmode`; {STAYS}", reason=Reason.bad_signature)
    return valid[0][-1]
