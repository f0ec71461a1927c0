"""A request for a session: an OpenSSH certificate by which one person is let in to one box, for minutes.

In: a word of the header `toweros-remote`, the authority's lines of this release, this box's name, its clock. Out: an
`Order`, or `Refused` with what is wrong. Rules: nothing of it is believed before the authority's signature holds, so
whoever hands it on can withhold it, and no more; sshd judges the same certificate once more when the person comes.

    order = Order.read(b64, authority="ssh-ed25519 AAAA...", box="site-7", now=1790000000)
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toweros_agent.nouns import Refused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.serialization import SSHCertificate

KIND = b"ssh-ed25519-cert-v01@openssh.com"
CERTIFICATE = re.compile(r"[A-Za-z0-9+/]{100,4000}={0,2}")
LOGS_COMMAND = b"/usr/bin/toweros-logs"
"""What a certificate for logs may run: that of contracts and of `pkg/sshd`."""
LOGS, SHELL = "logs", "shell"


class Stranger(Refused):
    """Nobody whom this release believes has signed it."""


@dataclass(frozen=True)
class Order:
    """`serial` names the session, `by` is who asks, and why; `until`: Unix seconds."""

    serial: int
    kind: str
    by: str
    box: str
    after: int
    until: int

    @property
    def session(self) -> str:
        return f"{self.box}.{self.serial:016x}"

    @classmethod
    def read(cls, text: str, authority: str) -> "Order":
        """What a certificate says. Raises `Stranger`, or `Refused` for one of the authority's that is none of ours."""
        from cryptography.hazmat.primitives.serialization import SSHCertificateType

        certificate = _believed(text, authority)
        options = dict(certificate.critical_options)
        forced = options.pop(b"force-command", None)
        if certificate.type != SSHCertificateType.USER or options or forced not in (None, LOGS_COMMAND):
            raise Refused("the request is for something that this agent does not know")
        if len(certificate.valid_principals) != 1:
            raise Refused("the request is not for one box")
        box, by = (each.decode(errors="replace") for each in (certificate.valid_principals[0], certificate.key_id))
        kind = SHELL if forced is None else LOGS
        return cls(certificate.serial, kind, by, box, certificate.valid_after, certificate.valid_before)

    def judge(self, box: str, allowed: str, now: float) -> None:
        """Raises `Refused` unless this box takes it, now."""
        if self.box != box:
            raise Refused("the request is for another box")
        if self.kind != allowed != SHELL:
            raise Refused(f"this release allows {allowed or 'nothing'}, and no {self.kind}")
        if now < self.after:
            raise Refused(f"the request is from later than this box's clock, which is {self.after - now:.0f} s behind")
        if now >= self.until:
            raise Refused(f"the request ended {now - self.until:.0f} s ago, by this box's clock")


def _believed(text: str, authority: str) -> "SSHCertificate":
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        SSHCertificate,
        load_ssh_public_identity,
    )

    if not CERTIFICATE.fullmatch(text):
        raise Stranger("the request is no certificate")
    try:
        certificate = load_ssh_public_identity(KIND + b" " + text.encode())
        if not isinstance(certificate, SSHCertificate):
            raise Stranger("the request is no certificate")
        certificate.verify_cert_signature()
        key = certificate.signature_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise Stranger("the request is no certificate that holds") from error
    if key not in {" ".join(line.split()[:2]) for line in authority.splitlines()}:
        raise Stranger("the request is not of this fleet's authority")
    return certificate
