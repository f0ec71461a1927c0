"""Many OpenPGP signatures before one gpg: a flood that names listed keys costs seconds, and takes no place away.

In: signed objects whose signature is one packet, the ring of listed keys. Out: of each, whose key made it, or why it
counts for nothing. Rules: gpg takes one detached signature in a run, and any number of files that bring their own
(`--verify-files`), so each is written as such a file: the signature, then the words as a literal packet (RFC 4880,
11.3). Nobody is let in here: what is good is asked about by itself, as any other.

    found = verdicts(approvals, ring)        # ["17C7...", SourceError("... has a bad signature")]
"""

from collections.abc import Sequence
from pathlib import Path

from gitops.errors import SourceError
from gitops.fleet.keys import gpg
from gitops.source.trust import openpgp
from gitops.source.trust.objects import Signed
from gitops.source.trust.pgp.packet import SIGNATURE, read
from gitops.source.trust.pgp.ring import Ring

TOGETHER, BYTES = 200, 8 << 20
"""So many signatures, and bytes of what they sign, are in one run."""
_LITERAL = 11
_BINARY = b"b\0" + bytes(4)
"""No file name, no date."""
_BEGINS = "\n[GNUPG:] FILE_START "
"""At the beginning of a line: within one, whoever made a key or a signature says what stands there."""


def verdicts(signed: Sequence[Signed], ring: Ring) -> list[str | SourceError]:
    """The fingerprint of the listed key that made each, or its refusal.

    Raises:
        ProcessError: gpg is not here, or gave no answer.
    """
    found = list[str | SourceError]()
    with ring.home() as (home, words):
        files = [_write(home / f"{number}", each) for number, each in enumerate(signed)]
        while len(found) < len(files):
            left = files[len(found) :]
            # With --batch it ends at the first bad one; --no-tty keeps it from asking anybody.
            talk = gpg.ask([*words, "--no-batch", "--verify-files", *map(str, left)], b"")
            talks = f"\n{talk}".split(_BEGINS)[1 : len(left) + 1] or [""]  # at least one: it ended there
            found += [_verdict(each, said, ring) for each, said in zip(signed[len(found) :], talks, strict=False)]
    return found


def _verdict(signed: Signed, talk: str, ring: Ring) -> str | SourceError:
    try:
        return openpgp.key_of(signed.name, talk, ring.owners)
    except SourceError as refusal:
        return refusal


def _write(file: Path, signed: Signed) -> Path:
    claim = read(signed.signature)
    body = claim.body if claim else b""
    file.write_bytes(_packet(SIGNATURE, body) + _packet(_LITERAL, _BINARY + signed.payload))
    return file


def _packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4) + body
