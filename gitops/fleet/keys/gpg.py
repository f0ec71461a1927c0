"""gpg in a home folder of its own: no key ring of this machine, no network, no agent; and what a key file is good for.

In: a key file's bytes. Out: machine-readable status lines (GnuPG's doc/DETAILS); whether its key could sign now.

    unusable(b"-----BEGIN PGP PUBLIC KEY BLOCK----- ...")      # "" or why not
"""

import tempfile
from pathlib import Path

from gitops.errors import ProcessError
from gitops.process import run

TIMEOUT = 30.0
"""Seconds for one call of gpg."""
_STATES = {"e": "the key has expired", "r": "the key is revoked", "i": "the key is invalid", "d": "the key is disabled"}
"""Validity of a `pub` row (doc/DETAILS, field 2)."""


def command(home: Path) -> list[str]:
    """How it is called."""
    gpg = ["gpg", "--homedir", str(home), "--batch", "--no-tty", "--quiet", "--no-autostart", "--disable-dirmngr"]
    # `--trust-model always`: whom we believe stands in keys/, not in gpg's web of trust.
    return [*gpg, "--no-auto-key-retrieve", "--trust-model", "always", "--status-fd", "1"]


def ask(words: list[str], stdin: bytes) -> str:
    """What gpg says, whatever its exit code: 2 also stands for an expired or revoked key."""
    try:
        return run(words, stdin=stdin, timeout=TIMEOUT).decode(errors="replace")
    except ProcessError as error:
        if error.code is None:
            raise  # no verdict
        return error.log


def status(talk: str) -> list[list[str]]:
    """The machine-readable lines, as words: what happened, and what it is about. gpg lets no newline of a key's name
    through, but all else that Python takes for the end of a line."""
    rows = [line.split()[1:] for line in talk.split("\n") if line.startswith("[GNUPG:] ")]
    return [row for row in rows if row]


def unusable(key: bytes) -> str:
    """Why nothing that this file's keys sign now would count; empty: one of them is good."""
    with tempfile.TemporaryDirectory(prefix="toweros-") as folder:
        gpg = command(Path(folder))
        if "IMPORT_OK" not in [row[0] for row in status(ask([*gpg, "--import"], key))]:
            return "holds no OpenPGP key"
        rows = [line.split(":") for line in ask([*gpg, "--with-colons", "--list-keys"], b"").split("\n")]
    keys = [row for row in rows if row[0] == "pub"]
    # Capital letters are what the whole key can do now, its subkeys included (doc/DETAILS, field 12).
    if any(row[1] not in _STATES and "S" in row[11] for row in keys):
        return ""
    return next((_STATES[row[1]] for row in keys if row[1] in _STATES), "the key cannot sign (any more)")
