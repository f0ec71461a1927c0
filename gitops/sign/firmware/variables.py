"""Signed updates of the firmware's key databases (UEFI 2.10: 8.2.2 authenticated variables, 32.4.1 signature lists).

In: certificates, who signs, when. Out: EFI_VARIABLE_AUTHENTICATION_2 and the new content, as SetVariable() takes them.
Rules: PKCS 7 SignedData without the ContentInfo around it, detached, without attributes, SHA-256: what all firmware
reads. An update that replaces must be later than what the variable had before; one that appends need not.

    update("db", [certificate], Signing(key, kek), 1790000000, append=True)
"""

import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
DATABASES = uuid.UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
VENDORS = {"PK": GLOBAL, "KEK": GLOBAL, "db": DATABASES}
X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
PKCS7 = uuid.UUID("4aafd29d-68df-49ee-8aa9-347d375665a7")
REVISION, WIN_CERT_TYPE_EFI_GUID = 0x0200, 0x0EF1
ATTRIBUTES, APPEND = 0x27, 0x40
"""Non-volatile, boot services, runtime, time-based authenticated write; and that it appends."""


@dataclass(frozen=True)
class Signing:
    """Who signs an update: PK that of KEK, KEK that of db."""

    key: RSAPrivateKey
    certificate: x509.Certificate


def signature_list(certificates: Sequence[x509.Certificate], owner: uuid.UUID) -> bytes:
    """One EFI_SIGNATURE_LIST for each certificate: a list's entries all have one size."""
    lists = []
    for each in certificates:
        data = owner.bytes_le + each.public_bytes(Encoding.DER)
        lists.append(X509.bytes_le + struct.pack("<III", 28 + len(data), 0, len(data)) + data)
    return b"".join(lists)


def update(variable: str, content: bytes, signing: Signing, when: int, *, append: bool) -> bytes:
    """The signed update that gives `variable` this content, or adds it. `when`: Unix seconds."""
    moment = efi_time(when)
    attributes = struct.pack("<I", ATTRIBUTES | (APPEND if append else 0))
    covered = variable.encode("utf-16-le") + VENDORS[variable].bytes_le + attributes + moment + content
    signed = _signed_data(covered, signing)
    head = struct.pack("<IHH", 24 + len(signed), REVISION, WIN_CERT_TYPE_EFI_GUID) + PKCS7.bytes_le
    return moment + head + signed + content


def efi_time(when: int) -> bytes:
    """EFI_TIME of an authenticated variable: UTC, with nothing below a second."""
    time = datetime.fromtimestamp(when, UTC)
    return struct.pack("<HBBBBBxIhBx", time.year, time.month, time.day, time.hour, time.minute, time.second, 0, 0, 0)


def _signed_data(covered: bytes, signing: Signing) -> bytes:
    builder = PKCS7SignatureBuilder().set_data(covered)
    builder = builder.add_signer(signing.certificate, signing.key, SHA256())
    options = [PKCS7Options.DetachedSignature, PKCS7Options.Binary, PKCS7Options.NoAttributes]
    whole = builder.sign(Encoding.DER, options)
    # ContentInfo ::= SEQUENCE { OBJECT IDENTIFIER signedData, [0] EXPLICIT SignedData }
    identifier = _start(whole, 0)
    explicit = identifier + 2 + whole[identifier + 1]
    return whole[_start(whole, explicit) :]


def _start(data: bytes, at: int) -> int:
    """Where the content of the DER value at `at` starts (X.690, 8.1.3)."""
    length = data[at + 1]
    return at + 2 + (length & 0x7F if length & 0x80 else 0)
