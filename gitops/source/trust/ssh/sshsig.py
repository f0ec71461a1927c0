"""What an SSH signature says of itself (OpenSSH's PROTOCOL.sshsig, PROTOCOL.certkeys), read and not believed.

In: the armoured signature. Out: a `Claim`: the key, the certificate that it came with. Rules: whether any of it is true
is ssh-keygen's affair; here is only what nobody else asks: whose key it would be, whether somebody touched it, and what
makes a certificate unfit that ssh-keygen takes: it reads no critical options, takes SHA-1, and `*` as a name.
Pure.

    claim = read(signature)
    claim.key, claim.certificate.principals
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gitops.fleet.keys.listed import Line, mark

USER, HOST = 1, 2
MAX_PRINCIPALS = 32
"""Names in one certificate: each is asked for by itself."""
VERSION, DIGESTS = 1, (b"sha256", b"sha512")
TOUCHED = 1
"""The flag of a security key (PROTOCOL.u2f)."""
_SECURITY_KEY = (b"sk-", b"webauthn-sk-")
_CERTIFICATE = "-cert-v01@openssh.com"
_FIELDS = {"ssh-ed25519": 1, "ssh-rsa": 2, "ecdsa-sha2-nistp256": 2, "ecdsa-sha2-nistp384": 2, "ecdsa-sha2-nistp521": 2}
_FIELDS |= {"sk-ssh-ed25519": 2, "sk-ecdsa-sha2-nistp256": 3}
"""Strings of a public key, after its type."""
_SHA1 = b"ssh-rsa"
_NO_NAME = set('*?!,"\\')


@dataclass(frozen=True)
class Certificate:
    """One certificate. `after`, `before`: Unix seconds; `options`: names of the critical ones; `authority`: the key
    that signed it, and `algorithm` how."""

    kind: int
    key_id: str
    principals: tuple[str, ...]
    after: int
    before: int
    options: tuple[str, ...]
    extensions: tuple[str, ...]
    authority: bytes
    algorithm: bytes
    signature: bytes = b""
    signed: bytes = b""
    """What the authority signed: all that stands before its signature."""

    @property
    def names(self) -> tuple[str, ...]:
        """The principals that are somebody's name: no patterns, and nothing that two readers would part in two ways."""
        fit = (name for name in self.principals if name.isprintable() and not set(name) & _NO_NAME)
        return tuple(dict.fromkeys(name for name in fit if name and " " not in name))

    @property
    def weak(self) -> bool:
        """Whether SHA-1 is all that vouches for it."""
        return self.algorithm == _SHA1


@dataclass(frozen=True)
class Claim:
    """`blob`: the public key or certificate as it stands there; `key`: the public key alone; `present`: whether a
    security key says that somebody touched it (None: it is none); `whole`: one signature follows, and nothing else."""

    blob: bytes
    key: bytes
    certificate: Certificate | None = None
    present: bool | None = None
    whole: bool = False
    rest: tuple[bytes, ...] = ()
    """Namespace, reserved bytes, digest, and the signature itself."""

    @property
    def untouched(self) -> bool:
        """A security key signed it, and nobody was there; a certificate may allow that (PROTOCOL.certkeys)."""
        allowed = self.certificate is not None and "no-touch-required" in self.certificate.extensions
        return self.present is False and not allowed

    def lines(self, listed: Sequence[Line]) -> list[Line]:
        """The lines of a list that it may count by: its key's; of a certificate, its authority's, for that alone has to
        do with dates and names."""
        if self.certificate:
            return [line for line in listed if line.authority and line.blob == self.certificate.authority]
        return [line for line in listed if not line.authority and line.blob == self.blob]

    @property
    def mark(self) -> str:
        """Stands for the key among names of people: one key is one person, whatever certificates say."""
        return mark(self.key)


def read(signature: bytes) -> Claim | None:
    """None: no key can be read in it."""
    try:
        lines = [line.strip() for line in signature.strip().split(b"\n")[1:-1]]
        data = _Reader(base64.b64decode(b"".join(lines), validate=True))
        if data.take(6) != b"SSHSIG" or data.number(4) != VERSION:
            return None
        said = claim(data.string())
    except (binascii.Error, ValueError):
        return None
    try:
        rest = tuple(data.string() for _ in range(4))
        data.end()
        return replace(said, present=_present(rest[3]), whole=rest[2] in DIGESTS, rest=rest)
    except ValueError:
        return said


def _present(signature: bytes) -> bool | None:
    """Whether a security key says that somebody touched it; None: it is of no security key. Raises ValueError."""
    reader = _Reader(signature)
    kind, _ = reader.string(), reader.string()
    flags = reader.number(1) if kind.startswith(_SECURITY_KEY) else None
    if flags is not None:
        reader.number(4)  # how often it was used
    reader.end()
    return None if flags is None else bool(flags & TOUCHED)


def claim(blob: bytes) -> Claim:
    """A public key, or a certificate.

    Raises:
        ValueError: it is cut off, or a certificate of a kind that nobody knows.
    """
    reader = _Reader(blob)
    name = reader.string()
    kind = name.decode(errors="replace")
    if not kind.endswith(_CERTIFICATE):
        for _ in range(_FIELDS.get(kind.removesuffix("@openssh.com"), 0)):
            reader.string()
        return Claim(blob, blob)
    plain = kind.removesuffix(_CERTIFICATE)
    reader.string()  # the nonce
    fields = [reader.string() for _ in range(_FIELDS.get(plain, 0))]
    if not fields:
        raise ValueError(kind)
    full = plain + "@openssh.com" * plain.startswith("sk-")
    key = b"".join(map(string, (full.encode(), *fields)))
    return Claim(blob, key, _certificate(reader, blob))


def _certificate(reader: "_Reader", blob: bytes) -> Certificate:
    reader.number(8)  # the serial
    kind, key_id = reader.number(4), reader.string().decode(errors="replace")
    principals = tuple(name.decode(errors="replace") for name in _Reader(reader.string()).strings())
    after, before = reader.number(8), reader.number(8)
    # Names and values by turns.
    options, extensions = (
        tuple(name.decode(errors="replace") for name in _Reader(reader.string()).strings()[::2]) for _ in range(2)
    )
    reader.string()  # reserved
    authority, above = reader.string(), reader.at
    signature = reader.string()
    algorithm, words = _Reader(signature).string(), blob[:above]
    return Certificate(
        kind, key_id, principals, after, before, options, extensions, authority, algorithm, signature, words
    )


def string(data: bytes) -> bytes:
    """As RFC 4251 writes one."""
    return len(data).to_bytes(4) + data


def strings(data: bytes) -> list[bytes]:
    """All of them; what is left over is none. Raises ValueError where none begins."""
    reader, found = _Reader(data), list[bytes]()
    while True:
        try:
            found.append(reader.string())
        except ValueError:
            if not found:
                raise
            return found


class _Reader:
    """The data types of RFC 4251, one after the other. All raise ValueError where the bytes end early."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def at(self) -> int:
        """How many bytes were read."""
        return self._at

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length))

    def string(self) -> bytes:
        return self.take(self.number(4))

    def end(self) -> None:
        if self._at != len(self._data):
            raise ValueError("goes on")

    def strings(self) -> list[bytes]:
        """All that is left."""
        found = []
        while self._at < len(self._data):
            found.append(self.string())
        return found

    def take(self, length: int) -> bytes:
        part = self._data[self._at : self._at + length]
        if len(part) != length:
            raise ValueError("cut off")
        self._at += length
        return part
