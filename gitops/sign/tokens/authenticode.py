"""Secure Boot signatures with a key that no file holds: a PE file in, the same file with one more signature out.

In: a program, a key, its certificate. Out: what `sbsign` writes, but for the time, and the abilities of mail programs:
the same input gives the same bytes. Rules: PE32+ alone, signatures at the end alone (Microsoft: "Windows Authenticode
Portable Executable Signature Format"; RFC 2315); the content is sbsign's, byte by byte, as firmware knows it.

    signed = sign(image, key, x509.load_pem_x509_certificate(data))
"""

import struct
import sys
from array import array
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from gitops.errors import SignError

PE_OFFSET, FILE_HEADER, PE32_PLUS, CHECKSUM, TABLE = 0x3C, 24, 0x20B, 64, 112 + 8 * 4
REVISION, SIGNED_DATA = 0x0200, 2
INTEGER, OCTETS, NULL, OID, SEQUENCE, SET, CONTEXT = 0x02, 0x04, b"\x05\0", 0x06, 0x30, 0x31, 0xA0
IDS = {
    "signedData": "2a864886f70d010702", "contentType": "2a864886f70d010903", "messageDigest": "2a864886f70d010904",
    "sha256": "608648016503040201", "rsa": "2a864886f70d010101", "indirect": "2b060104018237020104",
    "image": "2b06010401823702010f",
}  # fmt: skip
OBSOLETE = "<<<Obsolete>>>".encode("utf-16-be")


def sign(image: bytes, key: RSAPrivateKey, certificate: x509.Certificate) -> bytes:
    """`image` with a signature behind those that it has.

    Raises:
        SignError: it is no PE32+ image, has its signatures elsewhere than at its end, or the key does not sign.
    """
    entry, end = _measure(image)
    body, table = image[:end] + bytes(-end % 8), image[end:]
    document = _signed_data(_digest(body, entry), key, certificate)
    table += struct.pack("<IHH", 8 + len(document), REVISION, SIGNED_DATA) + document + bytes(-len(document) % 8)
    made = bytearray(body + table)
    struct.pack_into("<II", made, entry, len(body), len(table))
    struct.pack_into("<I", made, entry - TABLE + CHECKSUM, 0)
    struct.pack_into("<I", made, entry - TABLE + CHECKSUM, _checksum(made))
    return bytes(made)


def _measure(image: bytes) -> tuple[int, int]:
    """Where the entry of the table of signatures is, and where the program ends."""
    try:
        (start,) = struct.unpack_from("<I", image, PE_OFFSET)
        entry = start + FILE_HEADER + TABLE
        if image[:2] != b"MZ" or struct.unpack_from("<H", image, start + FILE_HEADER) != (PE32_PLUS,):
            raise SignError("cannot sign for Secure Boot: this is no PE32+ image")
        place, size = struct.unpack_from("<II", image, entry)
    except struct.error:
        raise SignError("cannot sign for Secure Boot: this is no PE32+ image") from None
    if size and (place < entry + 8 or place % 8 or place + size != len(image)):
        raise SignError("cannot sign for Secure Boot: the image has signatures that are not at its end")
    return entry, place if size else len(image)


def _digest(body: bytes, entry: int) -> bytes:
    checksum, covered = entry - TABLE + CHECKSUM, sha256()
    for begin, end in ((0, checksum), (checksum + 4, entry), (entry + 8, len(body))):
        covered.update(memoryview(body)[begin:end])
    return covered.digest()


def _checksum(image: bytearray) -> int:
    """The optional header's: a sum of words with its carries, and the length."""
    words = array("H", bytes(image) + bytes(len(image) % 2))
    if sys.byteorder == "big":
        words.byteswap()
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total + len(image)


def _signed_data(digest: bytes, key: RSAPrivateKey, certificate: x509.Certificate) -> bytes:
    sha, rsa = (_der(SEQUENCE, _id(name), NULL) for name in ("sha256", "rsa"))
    link = _der(CONTEXT, _der(CONTEXT | 2, _der(0x80, OBSOLETE)))
    image = _der(SEQUENCE, _id("image"), _der(SEQUENCE, b"\x03\x01\0", link))
    content = image + _der(SEQUENCE, sha, _der(OCTETS, digest))
    attributes = _attribute("contentType", _id("indirect"))
    attributes += _attribute("messageDigest", _der(OCTETS, sha256(content).digest()))
    # What is signed is the set itself, under the tag that a set has (RFC 2315, 9.3).
    signature = key.sign(_der(SET, attributes), PKCS1v15(), SHA256())
    number = certificate.serial_number
    issuer = certificate.issuer.public_bytes() + _der(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))
    one, whole = _der(INTEGER, b"\x01"), certificate.public_bytes(Encoding.DER)
    signer = _der(
        SEQUENCE, one, _der(SEQUENCE, issuer), sha, _der(CONTEXT, attributes), rsa, _der(OCTETS, signature)
    )  # fmt: skip
    wrapped = _der(SEQUENCE, _id("indirect"), _der(CONTEXT, _der(SEQUENCE, content)))
    data = _der(SEQUENCE, one, _der(SET, sha), wrapped, _der(CONTEXT, whole), _der(SET, signer))
    return _der(SEQUENCE, _id("signedData"), _der(CONTEXT, data))


def _attribute(name: str, value: bytes) -> bytes:
    return _der(SEQUENCE, _id(name), _der(SET, value))


def _id(name: str) -> bytes:
    return _der(OID, bytes.fromhex(IDS[name]))


def _der(tag: int, *parts: bytes) -> bytes:
    """A DER value (X.690, 8.1)."""
    content = b"".join(parts)
    size = len(content)
    length = bytes([size]) if size < 0x80 else size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag]) + (length if size < 0x80 else bytes([0x80 | len(length)]) + length) + content
