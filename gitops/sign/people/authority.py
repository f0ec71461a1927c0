"""The fleet's SSH authority for people: certificates by which a person is let in to one box, for minutes.

In: the keys folder, a person's public key of the hour, a box. Out: a certificate in OpenSSH's format
(PROTOCOL.certkeys), the line for the fleet repo's keys/ssh_user_ca.pub. Rules: a key of its own: who has the one for
hosts lets nobody in; for one box, named as the principal; it ends after `LIFETIME`; its serial is drawn by lot, and is
the session's name; what is for logs can run nothing else, whatever the box allows.

    authority = UserAuthority.open(Path("/etc/toweros/keys"))
    authority.admit(public, "site-7", Kind.logs, "ada: the mast is silent", 1790000000)
"""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import SSHCertificateBuilder, SSHCertificateType

from gitops.model.access.remote import LIFETIME, LOGS_COMMAND, Kind
from gitops.sign.ssh import HostAuthority

NAME = "ssh-user-ca"
SKEW = 300
"""Seconds that a box's clock may be behind ours."""
SERIAL = 53
"""Bits of a serial: as many as every reader of JSON keeps. Both ends prove themselves besides."""
MOST_ID = 200
"""Characters of the key id, which sshd writes into its log."""


@dataclass(frozen=True)
class Admission:
    """`certificate` is a line of OpenSSH; `until`: Unix seconds."""

    serial: int
    certificate: str
    until: int


class UserAuthority(HostAuthority):
    """One authority."""

    @classmethod
    def open(cls, folder: Path, name: str = NAME) -> Self:
        """As that for hosts: that of a keys folder; a new one where there is none."""
        return super().open(folder, name)

    def admit(self, public: Ed25519PublicKey, box: str, kind: Kind, key_id: str, now: int) -> Admission:
        """Let whoever has the private half of `public` in to `box`. `key_id`: who, and why."""
        serial, until = secrets.randbits(SERIAL) | 1, now + LIFETIME
        builder = SSHCertificateBuilder().public_key(public).type(SSHCertificateType.USER).serial(serial)
        builder = builder.key_id(printable(key_id).encode()).valid_principals([box.encode()])
        builder = builder.valid_after(now - SKEW).valid_before(until)
        if kind == Kind.logs:
            builder = builder.add_critical_option(b"force-command", LOGS_COMMAND.encode())
        else:
            builder = builder.add_extension(b"permit-pty", b"")
        line = " ".join(builder.sign(self._key).public_bytes().decode().split()[:2])
        return Admission(serial, line, until)


def printable(words: str) -> str:
    """As a log, a report and a terminal can show it."""
    return "".join(each if each.isascii() and each.isprintable() else "?" for each in words)[:MOST_ID]
