"""Signed Git objects, read from their bytes: which header says what, which bytes were signed, and by what signature.

In: the raw bytes of a commit or an annotated tag (gitformat-signature). Out: a `Signed`. Rules: Git and we must see the
same object, so anything that two readers could take in two ways (two signatures, a header twice) is refused.
Pure: the same reader serves the clone and the evidence that travels with a release.

    signed = read(loose)          # b"commit 263\\0tree ...": how Git hashes it
    signed.id, signed.signature, signed.payload
"""

import hashlib
import re
from dataclasses import dataclass

from gitops.errors import STAYS, Reason, SourceError
from gitops.source.objects.headers import fault

MARKS = (b"-----BEGIN SSH SIGNATURE-----", b"-----BEGIN PGP SIGNATURE-----", b"-----BEGIN PGP MESSAGE-----")
X509 = b"-----BEGIN SIGNED MESSAGE-----"
SIGNATURE = b"gpgsig"
SIGNATURES = (SIGNATURE, b"gpgsig-sha256")


@dataclass(frozen=True)
class Signed:
    """A commit or tag: its headers (the first of each name), its signature (empty: none), and what that covers."""

    kind: str
    id: str
    loose: bytes
    headers: dict[str, str]
    signature: bytes
    payload: bytes

    @property
    def name(self) -> str:
        """How people call it."""
        return f"tag {self.headers.get('tag', '')!r}" if self.kind == "tag" else f"commit {self.id}"


def loose(kind: str, raw: bytes) -> bytes:
    """An object as Git hashes it: `KIND SIZE NUL DATA` (gitformat-pack)."""
    return b"%s %d\0" % (kind.encode(), len(raw)) + raw


def read(data: bytes) -> Signed:
    """An object in its loose form.

    Raises:
        SourceError: it is neither commit nor tag, or more than one signature is in it.
    """
    head, end, raw = data.partition(b"\0")
    kind = head.partition(b" ")[0].decode(errors="replace")
    if not end or kind not in ("commit", "tag") or head != b"%s %d" % (kind.encode(), len(raw)):
        raise SourceError("that is neither a commit nor a tag", hint=STAYS, reason=Reason.bad_object)
    identity = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    top, _, body = raw.partition(b"\n\n")
    if b"\0" in top:  # where some readers end, and others go on (git-fsck(1), nulInHeader)
        raise SourceError(f"{kind} {identity} has a NUL in its headers", hint=STAYS, reason=Reason.bad_object)
    # A header goes on in lines that begin with a space (gitformat-signature).
    fields = re.findall(rb"^(\S+) ?(.*(?:\n .*)*)", top, re.MULTILINE)
    inside = [(name, value.replace(b"\n ", b"\n")) for name, value in fields if name in SIGNATURES]
    # A tag's own signature stands below its message; in a commit's message such a line is only text.
    starts = [match.start() for mark in (*MARKS, X509) for match in re.finditer(b"^" + mark, body, re.MULTILINE)]
    below = starts if kind == "tag" else []
    blocks = sum(value.count(mark) for _, value in inside for mark in MARKS)
    if len(inside) + len(below) > 1 or blocks > 1:
        raise SourceError(
            f"{kind} {identity} has more than one signature", hint=STAYS, reason=Reason.several_signatures
        )
    payload, signature = raw, b""
    # `gpgsig-sha256` is of the same object as a SHA-256 repository has it, and in a tag Git asks neither.
    if kind == "commit" and inside and inside[0][0] == SIGNATURE:
        payload, signature = _without_signature(top) + raw[len(top) :], inside[0][1] + b"\n"
    elif below:
        cut = len(raw) - len(body) + below[0]
        payload, signature = raw[:cut], raw[cut:]
    # Reversed, so that the first of each name stays: that is the one which Git reads.
    names = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in reversed(fields)}
    return Signed(kind, identity, data, names, signature, payload)


def read_strictly(data: bytes) -> Signed:
    """An object that is to be judged: its first headers are such as Git writes, too. A signature holds for any bytes.

    Raises:
        SourceError: as `read`; or its headers are others, or a date among them is none.
    """
    signed = read(data)
    if wrong := fault(signed.kind, data.partition(b"\0")[2].partition(b"\n\n")[0]):
        hint = f"make it again with `git`; {STAYS}"
        raise SourceError(f"{signed.name} is malformed: {wrong} (git-fsck(1))", hint=hint, reason=Reason.bad_object)
    return signed


def _without_signature(top: bytes) -> bytes:
    """The headers as they were when the signature was made."""
    lines, skipping = [], False
    for line in top.split(b"\n"):
        skipping = line.startswith(b" ") if skipping else False
        skipping = skipping or line.partition(b" ")[0] in SIGNATURES
        if not skipping:
            lines.append(line)
    return b"\n".join(lines)
