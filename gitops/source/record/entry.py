"""One entry of the record of deployments: a signed commit without files, whose message is a statement. Pure.

In: a statement, the entry before, a way to sign; or the bytes of a commit. Out: an `Entry`. Rules: there is one way to
write a statement as a commit, and whatever is not written so is no entry, so no two readers see two things; the entry
before is named by SHA-256 too, as a commit's own name is a SHA-1; what signs is an SSH key (PROTOCOL.sshsig, namespace
`git`), so that `git log --show-signature` and `git verify-commit` check an entry as well.

    entry = made(Recorded(fleet, 1, "main", commit, 812, 0, now, 14, digest), None, key.sign)
    read_entry(entry.raw) == entry
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gitops.errors import Reason, SourceError
from gitops.model import canonical, sha256
from gitops.source.trust.objects import loose, read

FORMAT = 1
MAX_ENTRY = 16 << 10
"""Bytes of one entry."""
MAX_SIGNERS, MAX_WORD = 64, 1000
"""Names of signers that an entry holds, and characters of each, and of a ref."""
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""Git's name of a folder without files."""
NEWER = "an entry is of a format that this version does not read"
WHO = "TowerOS <toweros-record@localhost>"
NAMESPACE = b"git"
HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
MAX_NUMBER = 1 << 53
"""What every reader of JSON reads exactly."""
_SHAPES = {
    "fleet": r"[0-9a-f-]{36}",
    "commit": r"[0-9a-f]{40}",
    "content": r"[0-9a-f]{64}",
    "before": r"([0-9a-f]{64})?",
    "ref": r"[^\0- \x7f]{1,1000}",
}
"""`ref`: what git-check-ref-format(1) leaves out; other kinds of space may be in it."""

Sign = Callable[[bytes], bytes]
"""Bytes -> an armoured SSH signature of the namespace `git`."""


@dataclass(frozen=True)
class Recorded:
    """What was deployed. `fleet`: the GUID of the keys folder; `number`: of the entry, from 1; `sequence` and `epoch`:
    the release's; `time`: Unix seconds; `boxes`: how many; `content`: SHA-256 over the canonical JSON {box: content
    digest of the newest release that was made for it}; `before`: SHA-256 of the bytes of the entry before."""

    fleet: str
    number: int
    ref: str
    commit: str
    sequence: int
    epoch: int
    time: int
    boxes: int
    content: str
    tagged: bool = False
    signers: tuple[str, ...] = ()
    before: str = ""

    @property
    def revision(self) -> str:
        """As people write it."""
        return f"{self.ref}@sha1:{self.commit}"

    @property
    def message(self) -> str:
        """The commit's message: a line for people, and the document."""
        document = canonical({"format": FORMAT, **asdict(self), "signers": list(self.signers)}).decode()
        return f"deployment {self.number}: {self.revision}\n\n{document}\n"

    @classmethod
    def parse(cls, message: str) -> "Recorded":
        """Raises ValueError, TypeError or KeyError when it is none."""
        row: dict[str, Any] = json.loads(message.partition("\n\n")[2])
        if row.pop("format") != FORMAT:
            raise ValueError(NEWER)
        found = cls(**{**row, "signers": tuple(row["signers"])})
        for field in fields(cls):
            _check(field.name, getattr(found, field.name), field.type)
        return found


@dataclass(frozen=True)
class Entry:
    """A statement, the commit before it (empty: none), and the signature of both."""

    statement: Recorded
    parent: str
    signature: bytes

    @property
    def raw(self) -> bytes:
        """The commit's bytes."""
        head, body = _parts(self.statement, self.parent)
        signature = self.signature.strip().replace(b"\n", b"\n ")
        return head + b"gpgsig " + signature + b"\n" + body

    @property
    def id(self) -> str:
        """The commit's name."""
        return hashlib.sha1(loose("commit", self.raw), usedforsecurity=False).hexdigest()

    @property
    def key(self) -> bytes:
        """The Ed25519 key (32 bytes) whose signature it is.

        Raises:
            SourceError: it is no good signature.
        """
        head, body = _parts(self.statement, self.parent)
        try:
            return _signer(self.signature, head + body)
        except (ValueError, binascii.Error, InvalidSignature) as error:
            raise bad(f"entry {self.statement.number}: its signature is bad") from error


def made(statement: Recorded, parent: str, sign: Sign) -> Entry:
    """A new entry. Raises as `sign` does.

    Raises:
        SourceError: nobody could read it: one of those ends the record for good.
    """
    head, body = _parts(statement, parent)
    entry = Entry(statement, parent, sign(head + body).strip() + b"\n")
    if len(entry.raw) > MAX_ENTRY:
        raise SourceError(f"{statement.revision}: more than {MAX_ENTRY >> 10} KiB of names", hint="sign by fewer")
    return read_entry(entry.raw)


def read_entry(raw: bytes) -> Entry:
    """A commit as an entry, whoever signed it.

    Raises:
        SourceError: it is none.
    """
    try:
        signed = read(loose("commit", raw))
        statement = Recorded.parse(signed.payload.partition(b"\n\n")[2].decode())
        entry = Entry(statement, signed.headers.get("parent", ""), signed.signature)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, SourceError) as error:
        raise bad(NEWER if str(error) == NEWER else "a commit that is no entry is in it") from error
    if entry.raw != raw:
        raise bad(f"entry {entry.statement.number} is not written as the controller writes it")
    return entry


def following(entry: Entry | None) -> dict[str, Any]:
    """What a statement says of the entry before it."""
    return {"number": entry.statement.number + 1, "before": sha256(entry.raw)} if entry else {"number": 1, "before": ""}


def public_bytes(line: str) -> bytes:
    """The 32 bytes of an Ed25519 key as OpenSSH writes it (`ssh-ed25519 AAAA...`).

    Raises:
        ValueError: it is none.
    """
    words = line.split()
    blob = base64.b64decode(words[1], validate=True) if len(words) > 1 else b""
    kind, rest = _string(blob)
    key, rest = _string(rest)
    if kind != b"ssh-ed25519" or len(key) != 32 or rest:
        raise ValueError("this is no Ed25519 key")
    return key


def bad(why: str) -> SourceError:
    """The refusal of a record that its controller did not write."""
    hint = "nothing is written over it: find out who wrote it, docs/record.md"
    return SourceError(f"the record of deployments is not ours: {why}", hint=hint, reason=Reason.record_damaged)


def _parts(statement: Recorded, parent: str) -> tuple[bytes, bytes]:
    """What stands above the signature, and below it."""
    when = f"{WHO} {statement.time} +0000"
    above = f"tree {EMPTY_TREE}\n" + (f"parent {parent}\n" if parent else "")
    return f"{above}author {when}\ncommitter {when}\n".encode(), f"\n{statement.message}".encode()


def _check(name: str, value: object, kind: object) -> None:
    if kind is int:
        good = type(value) is int and 0 <= value < MAX_NUMBER
    elif kind is bool:
        good = isinstance(value, bool)
    elif kind is str:
        good = isinstance(value, str) and bool(re.fullmatch(_SHAPES[name], value))
    else:
        names = value if isinstance(value, tuple) else ()
        good = len(names) <= MAX_SIGNERS and all(isinstance(each, str) and len(each) <= MAX_WORD for each in names)
    if not good:
        raise ValueError(f"`{name}` is none")


def _signer(signature: bytes, payload: bytes) -> bytes:
    """Who made an armoured signature (PROTOCOL.sshsig)."""
    lines = signature.strip().split(b"\n")
    if (lines[0], lines[-1]) != (b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"):
        raise ValueError("no SSH signature")
    blob = base64.b64decode(b"".join(lines[1:-1]), validate=True)
    if blob[:10] != b"SSHSIG\0\0\0\1":
        raise ValueError("no SSH signature of version 1")
    public, rest = _string(blob[10:])
    namespace, rest = _string(rest)
    _, rest = _string(rest)
    digest, rest = _string(rest)
    wrapped, rest = _string(rest)
    kind, inner = _string(wrapped)
    value, more = _string(inner)
    if namespace != NAMESPACE or kind != b"ssh-ed25519" or rest or more or digest not in HASHES:
        raise ValueError("another kind of signature")
    about = _packed(NAMESPACE) + _packed(b"") + _packed(digest)
    key = public_bytes(f"ssh-ed25519 {base64.b64encode(public).decode()}")
    signed = b"SSHSIG" + about + _packed(HASHES[digest](payload).digest())
    Ed25519PublicKey.from_public_bytes(key).verify(value, signed)
    return key


def _string(data: bytes) -> tuple[bytes, bytes]:
    """A string of SSH's, and what follows (RFC 4251, section 5)."""
    end = 4 + int.from_bytes(data[:4])
    if len(data) < max(end, 4):
        raise ValueError("it is cut off")
    return data[4:end], data[end:]


def _packed(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data
