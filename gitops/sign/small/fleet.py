"""All small repositories of a folder. Each is read once, and again when another process wrote it.

In: the folder, what all targets shall be. Out: what is offered now; what is due, in bunches: a commit for 100,000 boxes
is signed and written without being whole in memory. Rules: a repository that is damaged is that box's trouble alone:
it counts as none, and is made anew of what its box is offered.

    fleet = Small()
    fleet.offered(shelf)                                # repository -> path -> target
    for bunch in fleet.due(shelf, targets, by, now): ...
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from gitops.errors import SignError
from gitops.model import Target
from gitops.model.paths.repositories import KEYS, repository_of
from gitops.sign.small.repository import By, Files, Repository, read, renewed
from gitops.sign.tuf import LIFETIMES

log = structlog.get_logger(__name__)

BUNCH = 1000
"""Repositories that are written together."""
DAY = 86400
Stamp = tuple[int, ...]


class Shelf(Protocol):
    """Where the files are."""

    def read(self, name: str) -> bytes | None:
        """A file by its name below the metadata; None: there is none."""

    def repositories(self) -> list[str]:
        """The small repositories, by name."""

    def stamp(self, name: str) -> Stamp | None:
        """What changes when another file takes a name; None: there is none of it."""


@dataclass
class Bunch:
    """Files that appear before `stamps` do; repositories that go; how many are signed."""

    files: Files = field(default_factory=list)
    stamps: Files = field(default_factory=list)
    signed: dict[str, Repository] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [*self.signed]


class Small:
    """What is known of them."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Stamp, Repository | None]] = {}

    def offered(self, shelf: Shelf) -> dict[str, Mapping[str, Target] | None]:
        """What each of them offers now; None: it is damaged."""
        return {name: found.offered if found else None for name, found in self.look(shelf).items()}

    def look(self, shelf: Shelf) -> dict[str, Repository | None]:
        """Every one that is published; None: it is damaged."""
        found: dict[str, tuple[Stamp, Repository | None]] = {}
        for name in shelf.repositories():
            if stamp := shelf.stamp(f"{name}/timestamp.json"):
                known = self._known.get(name)
                found[name] = known if known and known[0] == stamp else (stamp, _read(shelf, name))
        self._known = found
        return {name: each for name, (_, each) in found.items()}

    def signed(self, shelf: Shelf) -> int:
        """When one of them was signed last (Unix seconds); 0: none is."""
        ends = (each.timestamp.expires for each in self.look(shelf).values() if each)
        return max(max(ends, default=0) - LIFETIMES["timestamp"].days * DAY, 0)

    def due(self, shelf: Shelf, targets: Mapping[str, Target], by: By, now: int) -> Iterator[Bunch]:
        """What has to be written, dated `now`, so that each offers its part of `targets`."""
        wanted: dict[str, dict[str, Target]] = {}
        for path, target in targets.items():
            wanted.setdefault(repository_of(path), {})[path] = target
        known, bunch = self.look(shelf), Bunch()
        for name in sorted(wanted.keys() | known.keys()):
            before = self._whole(shelf, name, known.get(name))
            if name not in wanted and name.startswith(f"{KEYS}/"):
                bunch.gone.append(name)
            elif signing := renewed(name, before, wanted.get(name, {}), by, now):
                bunch.files += signing.files
                bunch.stamps.append(signing.timestamp)
                bunch.signed[name] = signing.repository
            if len(bunch.signed) + len(bunch.gone) >= BUNCH:
                yield bunch
                bunch = Bunch()
        if bunch.signed or bunch.gone:
            yield bunch

    def wrote(self, shelf: Shelf, bunch: Bunch) -> None:
        """A bunch is where others see it: nothing of it need be read again."""
        for name, repository in bunch.signed.items():
            if stamp := shelf.stamp(f"{name}/timestamp.json"):
                self._known[name] = stamp, repository

    @staticmethod
    def _whole(shelf: Shelf, name: str, known: Repository | None) -> Repository | None:
        """None, where a file is gone to which its timestamp leads."""
        return known if known and all(shelf.stamp(file) for file in known.files(name)) else None


def _read(shelf: Shelf, name: str) -> Repository | None:
    try:
        return read(shelf.read, name)
    except SignError as error:
        log.warning("small.damaged", repository=name, error=error.message)
        return None
