"""The key of the record of deployments: an SSH key of its own, that signs nothing else and is listed in no fleet repo.

In: the keys folder. Out: signatures in OpenSSH's format (namespace `git`, as of commits); lines of an allowed_signers
file for whoever checks the record. Rules: made at first use, which is said; 0600, never printed; it may lie in a token;
the public halves of those before it stay in `record.old.pub`, oldest first, for the entries that they signed.

    key = RecordKey.open(Path("/etc/toweros/keys"))
    key.sign(b"tree ...")
    lines(Path("/etc/toweros/keys"))    # ['toweros-record namespaces="git" ssh-ed25519 AAAA...']
"""

from pathlib import Path

from gitops.sign import keys
from gitops.sign.commits import CommitKey
from gitops.sign.tokens.held import HeldEd25519

NAME = "record"
OLD = f"{NAME}.old.pub"


class RecordKey(CommitKey):
    """One key file."""

    name, principal = NAME, "toweros-record"


def lines(folder: Path) -> list[str]:
    """Whose signature counts in the record, oldest first.

    Raises:
        SignError: see `RecordKey.open`.
    """
    old = folder / OLD
    before = old.read_text().splitlines() if old.is_file() else []
    return list(dict.fromkeys([*filter(None, before), RecordKey.open(folder).allowed]))


def rotate(folder: Path, held: HeldEd25519 | None = None) -> str:
    """A new key, which may lie in a token. Returns its line. A run that was stopped midway is made good by another."""
    before = lines(folder)
    keys.write(folder / OLD, "".join(f"{line}\n" for line in before).encode(), mode=0o644)
    return RecordKey.rotated(folder, held).allowed
