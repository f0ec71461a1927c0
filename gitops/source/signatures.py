"""Who signed a commit: SSH signatures (OpenSSH's PROTOCOL.sshsig, namespace `git`), checked by ssh-keygen.

In: the signature and the signed bytes, as Git keeps them in the commit, and an `allowed_signers` file (ssh-keygen(1)).
Out: the principal's name. A key must be valid now, not at the date that the commit claims for itself.
"""

import tempfile
from pathlib import Path

import pygit2

from gitops.errors import ProcessError, SourceError
from gitops.process import run
from gitops.source.rules import KEPT

NAMESPACE = "git"
SSH, PGP = b"-----BEGIN SSH SIGNATURE-----", b"-----BEGIN PGP "
TIMEOUT = 30.0
"""Seconds for one call of ssh-keygen."""


def signers(commit: pygit2.Commit, allowed: Path | None) -> tuple[str, ...]:
    """The principals that signed the commit, by name.

    Raises:
        SourceError: unsigned, signed by an unknown key, or the signature is bad.
    """
    name = f"commit {commit.id}"
    if allowed is None or not allowed.is_file():
        place = allowed or "`allowed_signers` in toweros.toml"
        raise SourceError(f"{name} must be signed, and {place} names nobody", hint=f"list who may deploy there; {KEPT}")
    signature, payload = commit.gpg_signature
    if not signature or payload is None:
        raise SourceError(f"{name} is unsigned", hint=f"sign it with `git commit -S` (gpg.format ssh); {KEPT}")
    if signature.startswith(PGP):
        raise SourceError(f"{name} has an OpenPGP signature", hint=f"sign with an SSH key (gpg.format ssh); {KEPT}")
    if not signature.startswith(SSH):
        raise SourceError(f"{name} has a signature of an unknown kind", hint=f"sign with an SSH key; {KEPT}")
    with tempfile.TemporaryDirectory(prefix="toweros-") as folder:
        file = Path(folder) / "signature"
        file.write_bytes(signature)
        return (_verify(name, file, payload, allowed),)


def _verify(name: str, signature: Path, payload: bytes, allowed: Path) -> str:
    check = ["ssh-keygen", "-Y"]
    common = ["-n", NAMESPACE, "-s", str(signature)]
    try:
        run([*check, "check-novalidate", *common], stdin=payload, timeout=TIMEOUT)
    except ProcessError as error:
        raise SourceError(f"{name} has a bad signature", hint=f"sign it again; {KEPT}") from error
    try:
        found = run([*check, "find-principals", "-f", allowed, "-s", signature], timeout=TIMEOUT)
    except ProcessError as error:
        raise SourceError(
            f"{name} is signed by an unknown key", hint=f"allow it in {allowed}, or not; {KEPT}"
        ) from error
    for principal in found.decode(errors="replace").splitlines():
        try:
            run([*check, "verify", "-f", allowed, "-I", principal, *common], stdin=payload, timeout=TIMEOUT)
        except ProcessError:
            continue
        return principal
    raise SourceError(
        f"{name} is signed by a key that {allowed} does not allow now", hint=f"renew the key's entry; {KEPT}"
    )
