"""The listed OpenPGP keys, imported once: gpg's key ring as bytes, whose the keys are, and the ids that they go by.

In: key files by name. Out: a `Ring`, and home folders for gpg that have it. Rules: an import is the dear part of a
check, so that of the same keys is kept for a while; nothing stays on the disk.

    ring = of(keys)
    with ring.home() as (home, words):
        gpg.ask([*words, "--verify", ...], payload)
"""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from gitops.errors import STAYS, Reason, SourceError
from gitops.fleet.keys import gpg

HOLDS = 600
"""Seconds that an import counts: what a key's own signatures say may hang on the date."""
_FILES = "pubring*"


@dataclass(frozen=True)
class Ring:
    """`files`: of a home folder; `owners`: a primary key's fingerprint -> the names of the files that hold it; `ids`:
    8 bytes of each key, subkeys too."""

    files: Mapping[str, bytes]
    owners: Mapping[str, tuple[str, ...]]
    ids: frozenset[bytes]

    @contextmanager
    def home(self) -> Iterator[tuple[Path, list[str]]]:
        """A home folder with this ring, and how gpg is called there."""
        with tempfile.TemporaryDirectory(prefix="toweros-") as folder:
            home = Path(folder)
            for name, data in self.files.items():
                (home / name).write_bytes(data)
            yield home, gpg.command(home)


def of(keys: Sequence[tuple[str, bytes]]) -> Ring:
    """All of these key files.

    Raises:
        SourceError: one of them holds no key. ProcessError: gpg is not here, or gave no answer.
    """
    return _import(tuple(keys), int(time.time()) // HOLDS)


@lru_cache(maxsize=8)
def _import(keys: tuple[tuple[str, bytes], ...], _when: int) -> Ring:
    with tempfile.TemporaryDirectory(prefix="toweros-") as folder:
        home = Path(folder)
        words = gpg.command(home)
        owners: dict[str, tuple[str, ...]] = {}
        for owner, key in keys:
            if key.strip():  # what `gpg --export` writes for a name that it does not know: it must lock out nobody
                owners |= {each: (*owners.get(each, ()), owner) for each in _primaries(words, owner, key)}
        rows = [line.split(":") for line in gpg.ask([*words, "--with-colons", "--list-keys"], b"").split("\n")]
        # Field 5 is the key's id (doc/DETAILS).
        ids = frozenset(bytes.fromhex(row[4]) for row in rows if row[0] in ("pub", "sub"))
        files = {file.name: file.read_bytes() for file in home.glob(_FILES) if file.is_file()}
    return Ring(files, owners, ids)


def _primaries(words: list[str], owner: str, key: bytes) -> list[str]:
    """Import a key file; the fingerprints of its primary keys."""
    talk = gpg.ask([*words, "--import"], key)
    # Each key that was in it, with its reason and the primary key's fingerprint (doc/DETAILS). `--show-keys` would need
    # a trust database as soon as one of them has expired, and there is none.
    found = [row[2] for row in gpg.status(talk) if row[0] == "IMPORT_OK"]
    if not found:
        hint = f"export it with `gpg --armor --export`; {STAYS}"
        raise SourceError(f"openpgp/{owner}.asc holds no OpenPGP key: {talk}", hint=hint, reason=Reason.bad_key_file)
    return found
