"""Would the firmware start this program, trusting these certificates? (Microsoft: "Windows Authenticode Portable
Executable Signature Format"; RFC 2315 for what is in it.)

In: a PE file, certificates (DER). Out: whether one of its signatures was made by one of them over what is in it now.
Rules: RSA with SHA-256, as our signer writes it; anything else counts as no signature, so that "yes" is never a guess.

    signed_by(Path("toweros-7.efi"), [db])
"""

import os
import struct
from collections.abc import Collection, Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

PIECE = 1 << 20
"""Bytes that are read at a time."""
MAX_SIGNATURES = 1 << 20
"""Bytes of a file's table of signatures."""
PE_OFFSET, FILE_HEADER, PE32_PLUS, TABLE = 0x3C, 24, 0x20B, 112 + 8 * 4
SEQUENCE, SET, OCTETS, CONTEXT = 0x30, 0x31, 0x04, 0xA0
MESSAGE_DIGEST = bytes.fromhex("06092a864886f70d010904")
SIGNED_DATA = 2
"""WIN_CERT_TYPE_PKCS_SIGNED_DATA."""
Span = tuple[int, int, int, int]
"""A DER value: its tag, where it starts, where its content starts, where it ends."""


def signed_by(path: Path, certificates: Collection[bytes], *, first: bool = False) -> bool:
    """Whether one of `certificates` made a signature of the file at `path`; `first`: its first one, as some firmware
    looks at no other. Raises `OSError`."""
    keys = [key for each in certificates if (key := _key(each))]
    try:
        with path.open("rb") as file:
            place, size, digest = _measure(file.fileno())
            table = _read(file.fileno(), place, place + size)
        return any(_counts(each, digest, keys) for each in islice(_signatures(table), 1 if first else None))
    except (ValueError, IndexError, struct.error):
        return False


def program(path: Path) -> bytes:
    """The digest of what is signed, whoever signed it; empty where that is no whole program. Raises `OSError`."""
    try:
        with path.open("rb") as file:
            return _measure(file.fileno())[2]
    except (ValueError, IndexError, struct.error):
        return b""


def _measure(image: int) -> tuple[int, int, bytes]:
    """Where the signatures are, their bytes, and the digest of all that they cover. Raises `ValueError`, `OSError`.

    The file is read, never mapped: a bad sector below a mapping ends the process (SIGBUS), at each start of the agent.
    """
    (start,) = struct.unpack("<I", _read(image, PE_OFFSET, PE_OFFSET + 4))
    optional = start + FILE_HEADER
    if _read(image, 0, 2) != b"MZ" or struct.unpack("<H", _read(image, optional, optional + 2)) != (PE32_PLUS,):
        raise ValueError("not a PE32+ image")
    checksum, entry = optional + 64, optional + TABLE
    place, size = struct.unpack("<II", _read(image, entry, entry + 8))
    if not entry < place or place + size != os.fstat(image).st_size or size > MAX_SIGNATURES:
        raise ValueError("no signatures at the end")
    covered = sha256()
    for begin, end in ((0, checksum), (checksum + 4, entry), (entry + 8, place)):
        for at in range(begin, end, PIECE):
            covered.update(_read(image, at, min(at + PIECE, end)))
    return place, size, covered.digest()


def _read(image: int, begin: int, end: int) -> bytes:
    """A part of the file. Raises `ValueError` where that is cut short, `OSError`."""
    data = os.pread(image, end - begin, begin)
    if len(data) != end - begin:
        raise ValueError("cut short")
    return data


def _signatures(table: bytes) -> Iterator[bytes]:
    """The PKCS 7 documents of a certificate table."""
    while len(table) > 8:
        length, _, kind = struct.unpack_from("<IHH", table)
        if not 8 < length <= len(table):
            return
        if kind == SIGNED_DATA:
            yield table[8:length]
        table = table[length + -length % 8 :]


def _counts(document: bytes, digest: bytes, keys: "list[RSAPublicKey]") -> bool:
    """Whether one signature proves the program; what cannot be read, in whatever way, proves nothing."""
    try:
        return _proves(document, digest, keys)
    except Exception:
        return False


def _proves(document: bytes, digest: bytes, keys: "list[RSAPublicKey]") -> bool:
    """The chain of one signature: program -> content -> signed attributes -> key. Raises what it likes."""
    _, wrapped = _members(document, _span(document, 0))[:2]
    parts = _members(document, _members(document, wrapped)[0])
    content = _members(document, _members(document, parts[2])[1])[0]
    said = _members(document, _members(document, content)[-1])[-1]
    if said[0] != OCTETS or document[said[2] : said[3]] != digest:
        return False
    expected = sha256(document[content[2] : content[3]]).digest()
    return any(_signed(document, signer, expected, keys) for signer in _members(document, parts[-1]))


def _signed(document: bytes, signer: Span, expected: bytes, keys: "list[RSAPublicKey]") -> bool:
    members = _members(document, signer)
    attributes = next((each for each in members if each[0] == CONTEXT), None)
    if attributes is None:
        return False
    rows = [_members(document, each) for each in _members(document, attributes)]
    digests = [_members(document, row[1])[0] for row in rows if document[row[0][1] : row[0][3]] == MESSAGE_DIGEST]
    if [document[each[2] : each[3]] for each in digests] != [expected]:
        return False
    signature = next((each for each in members[members.index(attributes) :] if each[0] == OCTETS), None)
    if signature is None:
        return False
    # What is signed is the set itself, under the tag that a set has (RFC 2315, 9.3).
    text = bytes([SET]) + document[attributes[1] + 1 : attributes[3]]
    return any(_holds(key, document[signature[2] : signature[3]], text) for key in keys)


def _holds(key: "RSAPublicKey", signature: bytes, text: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        key.verify(signature, text, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _key(certificate: bytes) -> Any:
    """The RSA key of a certificate; None: it is none, or a hash, or a maker's certificate that nothing here reads."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import load_der_x509_certificate

    try:
        key = load_der_x509_certificate(certificate).public_key()
    except Exception:  # of another curve, or version: a class of its own for each
        return None
    return key if isinstance(key, RSAPublicKey) else None


def _members(data: bytes, outer: Span) -> list[Span]:
    found, at = [], outer[2]
    while at < outer[3]:
        found.append(_span(data, at))
        at = found[-1][3]
    return found


def _span(data: bytes, at: int) -> Span:
    """The DER value at `at` (X.690, 8.1). Raises `ValueError` when it is cut short."""
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:
            raise ValueError("a length that DER has not")
        length, start = int.from_bytes(data[start : start + count], "big"), start + count
    if start + length > len(data):
        raise ValueError("cut short")
    return tag, at, start, start + length
