"""The controller's own key for commits: an SSH key that proposes security updates, and signs nothing else.

In: the keys folder. Out: signatures in OpenSSH's format (PROTOCOL.sshsig, namespace `git`); the line for the fleet
repo's keys/allowed_signers. Rules: made at first use, which is said; 0600, never printed; the policy says what it may
sign (`limits`).

    key = CommitKey.open(Path("/etc/toweros/keys"))
    key.sign(b"tree ...")
    key.allowed         # 'toweros-security namespaces="git" ssh-ed25519 AAAA...'
"""

from pathlib import Path
from typing import Self

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from gitops.errors import SignError
from gitops.process import run
from gitops.sign import keys
from gitops.sign.tokens import sshsig
from gitops.sign.tokens.held import HeldEd25519

log = structlog.get_logger(__name__)

NAME = keys.SECURITY
PRINCIPAL, NAMESPACE = "toweros-security", "git"
TIMEOUT = 30.0
"""Seconds for one signature."""


class CommitKey:
    """One key file; `held`: it names a key in a token. `new`: it was made just now, so that nobody knows it yet."""

    name, principal = NAME, PRINCIPAL

    def __init__(self, path: Path, public: str, *, new: bool = False, held: bool = False) -> None:
        self._path, self._public, self._held, self.new = path, public, held, new

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The key of a keys folder; a new one where there is none.

        Raises:
            SignError: there is no keys folder; others may read the key; it is none.
        """
        path = folder / cls.name
        if not folder.is_dir():
            raise SignError(f"{folder}: there is no such folder", hint="run `toweros keys init`")
        new = not path.is_file()
        if new:
            make(path)
            log.warning("key.made", key=str(path))
        if keys.held(path):
            half = keys.ed25519(path).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
            return cls(path, half.decode(), held=True)
        if path.stat().st_mode & 0o077:
            raise SignError(f"{path} is open to others", hint=f"chmod 600 {path}")
        return cls(path, _public(path), new=new)

    def sign(self, data: bytes) -> bytes:
        """An armoured signature.

        Raises:
            ProcessError: ssh-keygen does not take the key. TokenError: the token does not sign.
        """
        if self._held:
            return sshsig.sign(keys.ed25519(self._path), data, NAMESPACE)
        return run(["ssh-keygen", "-Y", "sign", "-q", "-n", NAMESPACE, "-f", self._path], stdin=data, timeout=TIMEOUT)

    @classmethod
    def rotated(cls, folder: Path, held: HeldEd25519 | None = None) -> Self:
        """A new key, which may lie in a token. The one before signs nothing any more."""
        path = folder / cls.name
        if held:
            keys.write(path, held.text)
        else:
            make(path)
        return cls.open(folder)

    @property
    def allowed(self) -> str:
        """The line for the fleet repo's keys/allowed_signers."""
        return f'{self.principal} namespaces="{NAMESPACE}" {self._public}'


def _public(path: Path) -> str:
    """The public half of a key file. It lies beside it, too, where ssh-keygen looks for it first: one that belongs to
    another key, as after a backup was restored by halves, is replaced."""
    try:
        key = load_ssh_private_key(path.read_bytes(), None).public_key()
    except (ValueError, TypeError) as error:
        hint = "restore it from the backup of the keys; where there is none, move it away, and a new one is made"
        raise SignError(f"{path} holds no SSH key", hint=hint) from error
    public = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    beside = path.with_name(f"{path.name}.pub")
    if not beside.is_file() or beside.read_bytes().split()[:2] != public.split()[:2]:
        keys.write(beside, public + b"\n", mode=0o644)
    return public.decode()


def make(path: Path) -> None:
    """A key file, and its public half beside it. The private one is written last: then both are there."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    keys.write(path.with_name(f"{path.name}.pub"), public + b"\n", mode=0o644)
    keys.write(path, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
