"""Whose signature an OpenPGP signature says to be (RFC 4880, 5.2; RFC 9580, 5.2), read and not believed.

In: the armoured signature. Out: the signature packet and the key ids that it names. Rules: one packet and nothing
beside it, of a length that is said before it; whatever else there is, is left to gpg. Whether any of it is true is
gpg's affair. Pure.

    claim = read(signature)
    claim.issuers           # frozenset({bytes.fromhex("23EA70E83A20DFCC")})
"""

import base64
import binascii
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

SIGNATURE = 2
"""The tag of a signature packet."""
ISSUER, FINGERPRINT = 16, 33
"""Subpackets: a key id, and a version with a fingerprint."""


@dataclass(frozen=True)
class Claim:
    """`body`: the packet without its header; `issuers`: the ids, 8 bytes each, of the keys that it names."""

    body: bytes
    issuers: frozenset[bytes]


def read(signature: bytes) -> Claim | None:
    """None: it is not one signature packet that names a key."""
    try:
        body = _only_packet(_unarmoured(signature))
        issuers = frozenset(_issuers(body))
    except (ValueError, IndexError, binascii.Error):
        return None
    return Claim(body, issuers) if issuers else None


def _unarmoured(signature: bytes) -> bytes:
    lines = iter([line.strip() for line in signature.split(b"\n")])
    for line in lines:
        if not line:  # what stands above are headers
            break
    text = itertools.takewhile(lambda line: not line.startswith((b"=", b"-")), lines)
    return base64.b64decode(b"".join(text), validate=True)


def _only_packet(data: bytes) -> bytes:
    """The body of the packet that all of it is."""
    first = data[0]
    if first & 0xC0 == 0xC0:
        tag, (length, at) = first & 0x3F, _length(data, 1)
    elif first & 0x80 and first & 3 != 3:  # 3: until the end, whatever that is
        size = 1 << (first & 3)
        tag, length, at = first >> 2 & 0xF, int.from_bytes(data[1 : 1 + size]), 1 + size
    else:
        raise ValueError("no packet")
    if tag != SIGNATURE or at + length != len(data):
        raise ValueError("no signature, or more than one packet")
    return data[at:]


def _issuers(body: bytes) -> Iterator[bytes]:
    if body[0] == 3:
        yield _part(body, 7, 8)
        return
    if body[0] not in (4, 5, 6):
        raise ValueError("of another version")
    size, at = (4, 4) if body[0] == 6 else (2, 4)
    for _ in range(2):  # what is signed, and what is not: gpg believes both
        length = int.from_bytes(_part(body, at, size))
        at += size
        yield from _named(_part(body, at, length))
        at += length


def _named(area: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(area):
        length, at = _length(area, at)
        kind, data = area[at] & 0x7F, _part(area, at + 1, length - 1)
        if kind == ISSUER and len(data) == 8:
            yield data
        if kind == FINGERPRINT and len(data) > 8:
            yield data[-8:] if data[0] == 4 else data[1:9]
        at += length


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A length of a new packet or a subpacket, and where what it measures begins."""
    first = data[at]
    if first < 192:
        return first, at + 1
    if first == 255:
        return int.from_bytes(_part(data, at + 1, 4)), at + 5
    if first >= 224:
        raise ValueError("in parts")
    return ((first - 192) << 8) + data[at + 1] + 192, at + 2


def _part(data: bytes, at: int, length: int) -> bytes:
    part = data[at : at + length]
    if length < 0 or len(part) != length:
        raise ValueError("cut off")
    return part
