"""Somebody's repository of Debian packages: what it has under a few names, and nothing else of it.

In: a `Source` of packages.in, its key, the names that are taken from it. Out: an `Offer` for each. Rules: each source
has an apt of its own, which knows no other index and trusts no other key; so neither a source can speak for Debian nor
Debian for a source, and what nobody named is never seen by the apt that resolves.

    Sources(state / "apt").offers(source, key, ["tool"])
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gitops.builders.apt import Apt, locked
from gitops.errors import BuildError
from gitops.fleet.packages.lockfile import is_sound
from gitops.fleet.packages.wanted import Source
from gitops.model import LockedFile, canonical, sha256

LONGEST = 300.0
"""Seconds that a source may take to say what it has."""


@dataclass(frozen=True)
class Offer:
    """A package of a source: the line of a lock, and what its index says of it."""

    file: LockedFile
    stanza: str


class Sources:
    """Asks each source once; `folder` is the beginning of the names of folders."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked: dict[str, Apt] = {}

    def offers(self, source: Source, key: bytes, names: Sequence[str]) -> list[Offer]:
        """The newest of each name, as far as the source has it.

        Raises:
            BuildError: it does not answer, its index is not signed by the key, or says what cannot be.
        """
        apt = self._of(source, key)
        found = []
        for paragraph in apt.newest(names):
            file = locked(paragraph)
            path = file.path.removeprefix("./") if file else ""
            moved = replace(file, path=f"{source.url}/{path}") if file else None
            if moved is None or not is_sound(moved):
                name = paragraph.get("Package", "")[:80]
                raise BuildError(f"the index of source `{source.name}` makes no sense about `{name}`", hint=_TELL)
            found.append(Offer(moved, str(paragraph.dump())))
        return found

    def _of(self, source: Source, key: bytes) -> Apt:
        """An index that another key or another suite was asked for is never seen again: its folder has another name."""
        digest = sha256(canonical([source.url, source.suite, list(source.components), sha256(key)]))
        if digest not in self._asked:
            folder = self._folder.with_name(f"{self._folder.name}-source-{digest[:16]}")
            folder.mkdir(parents=True, exist_ok=True)
            keyring = folder.resolve() / "key.asc"
            keyring.write_bytes(key)
            line = f"deb [signed-by={keyring}] {source.url} {source.suite} {' '.join(source.components)}"
            apt = Apt(folder, [line])
            apt.update(f"source `{source.name}`", hint=f"is {source.key} the key that signs it today?", timeout=LONGEST)
            self._asked[digest] = apt
        return self._asked[digest]


_TELL = "tell those who run it; until then take nothing from it"
