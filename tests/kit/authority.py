"""A private certificate authority, and what it signs."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def _certificate(name: str, issuer: str, key: ec.EllipticCurvePublicKey, *, ca: bool) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer)]
    made = x509.CertificateBuilder().subject_name(names[0]).issuer_name(names[1]).public_key(key)
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
    made = made.not_valid_after(now + datetime.timedelta(days=9))
    return made.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)


class Authority:
    """`pem` is its certificate."""

    def __init__(self, *, ca: bool = True) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        made = _certificate("Site", "Site", self._key.public_key(), ca=ca).sign(self._key, SHA256())
        self.pem = made.public_bytes(Encoding.PEM).decode()

    def server(self, address: str, to: Path) -> None:
        """The certificate and key of a server at an IP address, in one file."""
        to.write_text(self._holder(address, x509.IPAddress(ipaddress.ip_address(address))))

    def holder(self, name: str) -> str:
        """A key and its certificate, of somebody by a DNS name."""
        return self._holder(name, x509.DNSName(name))

    def _holder(self, name: str, subject: x509.GeneralName) -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        made = _certificate(name, "Site", key.public_key(), ca=False)
        signed = made.add_extension(x509.SubjectAlternativeName([subject]), critical=False).sign(self._key, SHA256())
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return (private + signed.public_bytes(Encoding.PEM)).decode()
