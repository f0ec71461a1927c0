"""The fleet's SSH authority: certificates for the host keys of boxes, so that nobody is asked whether a host is known.

In: the keys folder, a box's public host key, the names that it goes by. Out: a certificate in OpenSSH's format
(PROTOCOL.certkeys); the `@cert-authority` lines for known_hosts. Rules: made at first use; a certificate is for the
names of one box, never for all; the authority before the newest still stands in the lines until its public half,
`ssh-ca.old.pub`, is removed, as boxes that are away have its certificates.

    authority = HostAuthority.open(Path("/etc/toweros/keys"))
    authority.certify("ssh-ed25519 AAAA...", ("demo-1", "192.0.2.7"), 1790000000)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_private_key,
    load_ssh_public_key,
)

from gitops.errors import SignError
from gitops.sign import commits, keys
from gitops.sign.tokens.held import HeldEd25519

NAME = keys.SSH_CA
LIFETIME = 90 * 86400
"""Seconds: a box that is away for longer is asked about once, as before."""
MARGIN = 60 * 86400
"""Seconds before the end of a certificate when the next one is made."""
EARLIER = 86400
"""Seconds: whoever logs in may have a clock that is behind."""


class HostAuthority:
    """One authority."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def open(cls, folder: Path, name: str = NAME) -> Self:
        """That of a keys folder; a new one where there is none.

        Raises:
            SignError: there is no keys folder; others may read the key; it is none.
        """
        path = folder / name
        if not folder.is_dir():
            raise SignError(f"{folder}: there is no such folder", hint="run `toweros keys init`")
        if not path.is_file():
            commits.make(path)
        if keys.held(path):
            return cls(keys.ed25519(path))
        if path.stat().st_mode & 0o077:
            raise SignError(f"{path} is open to others", hint=f"chmod 600 {path}")
        try:
            key = load_ssh_private_key(path.read_bytes(), None)
        except (ValueError, TypeError) as error:
            raise SignError(f"{path} holds no SSH key", hint="restore the backup of the keys") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise SignError(f"{path} is not an Ed25519 key")
        return cls(key)

    @property
    def public(self) -> str:
        return self._key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()

    def certify(self, public: str, names: Sequence[str], now: int) -> str:
        """A certificate for a host key.

        Raises:
            SignError: it is no Ed25519 key.
        """
        try:
            key = load_ssh_public_key(public.encode())
        except ValueError as error:
            raise SignError("this is no SSH key") from error
        if not isinstance(key, Ed25519PublicKey):
            raise SignError("this is not an Ed25519 key")
        builder = SSHCertificateBuilder().public_key(key).type(SSHCertificateType.HOST).serial(now)
        builder = builder.key_id(names[0].encode()).valid_principals([name.encode() for name in names])
        builder = builder.valid_after(now - EARLIER).valid_before(now + LIFETIME)
        return " ".join(builder.sign(self._key).public_bytes().decode().split()[:2])


def rotate(folder: Path, held: HeldEd25519 | None = None) -> None:
    """A new authority, which may lie in a token. Whoever logs in needs its line before boxes have its certificates."""
    before = HostAuthority.open(folder).public
    keys.write(folder / f"{NAME}.old.pub", before.encode() + b"\n", mode=0o644)
    if held:
        keys.write(folder / NAME, held.text)
    else:
        commits.make(folder / NAME)


def lines(folder: Path, hosts: Sequence[str]) -> list[str]:
    """What people put into known_hosts, newest last (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    old = folder / f"{NAME}.old.pub"
    publics = [*([old.read_text().strip()] if old.is_file() else []), HostAuthority.open(folder).public]
    return [f"@cert-authority {','.join(hosts)} {public}" for public in dict.fromkeys(publics)]
