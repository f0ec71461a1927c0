"""A firmware's variables in a folder, with the rules of UEFI 2.10, 8.2.2, for those that are signed.

It takes an update that PK (of KEK) or KEK (of db) has signed over these very bytes; one that replaces must be later
than what was there. What a real firmware does of it was tried on OVMF (ADR 40).
"""

import errno
import struct
import uuid
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from toweros_agent.firmware.efivars import GLOBAL, Variables
from toweros_agent.host.firmware import KEYS, signatures

from gitops.sign.firmware.variables import signature_list

SIGNERS = {"KEK": "PK", "db": "KEK"}
APPEND, LASTS = 0x40, 7
OWNER = uuid.UUID(int=7)


class SignedVariables(Variables):
    """`before` and `after` are called around each write of a signed variable: to refuse it, or to cut the power."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.times: dict[str, tuple[int, ...]] = {}
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None
        self.writes = 0

    def enrol(self, keys: Path) -> None:
        """As somebody did by hand: PK, KEK and db of a keys folder, and Secure Boot on."""
        self.folder.mkdir(exist_ok=True)
        for name in ("PK", "KEK", "db"):
            certificate = x509.load_pem_x509_certificate((keys / f"{name}.crt").read_bytes())
            self.put(name, signature_list([certificate], OWNER))
        for flag, value in (("SecureBoot", 1), ("SetupMode", 0)):
            (self.folder / f"{flag}-{GLOBAL}").write_bytes(struct.pack("<IB", 6, value))

    def put(self, name: str, content: bytes) -> None:
        (self.folder / f"{name}-{KEYS[name]}").write_bytes(struct.pack("<I", LASTS | 0x20) + content)

    def write(self, name: str, vendor: str, attributes: int, value: bytes) -> None:
        if name not in SIGNERS:
            return super().write(name, vendor, attributes, value)
        self.writes += 1
        self.before()
        self._take(name, vendor, attributes, value)
        self.after()

    def _take(self, name: str, vendor: str, attributes: int, value: bytes) -> None:
        moment, (length,) = value[:16], struct.unpack_from("<I", value, 16)
        signed, content = value[40 : 16 + length], value[16 + length :]
        covered = name.encode("utf-16-le") + uuid.UUID(vendor).bytes_le + struct.pack("<I", attributes)
        covered += moment + content
        trusted = signatures(self.get(SIGNERS[name], KEYS[SIGNERS[name]]) or b"")
        if not any(_signed(each, signed, covered) for each in trusted):
            raise OSError(errno.EACCES, "Permission denied")
        time, last = struct.unpack_from("<HBBBBB", moment), self.times.get(name, (0,))
        known = self.get(name, vendor) or b""
        if not attributes & APPEND:
            if time <= last:
                raise OSError(errno.EACCES, "Permission denied")
            known = b""
        listed = {*signatures(known)}
        self.put(name, known + b"".join(part for part in _lists(content) if not {*signatures(part)} <= listed))
        self.times[name] = max(time, last)


def _lists(content: bytes) -> list[bytes]:
    parts = []
    while content:
        (size,) = struct.unpack_from("<I", content, 16)
        parts.append(content[:size])
        content = content[size:]
    return parts


def _signed(certificate: bytes, signed: bytes, covered: bytes) -> bool:
    """The signature is the last member of SignedData."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    assert isinstance(key, RSAPublicKey)
    try:
        key.verify(signed[-key.key_size // 8 :], covered, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True
