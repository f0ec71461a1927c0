"""What is inside: components, and where each one came from."""

import enum
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter

from gitops.model.digest import canonical
from gitops.model.reading import read

INVENTORY_FORMAT = 1


class Ecosystem(enum.StrEnum):
    """Whose names and versions a component has."""

    debian = "debian"
    alpine = "alpine"
    rpm = "rpm"
    pypi = "pypi"
    generic = "generic"
    """No distribution's: a file by its digest."""


@dataclass(frozen=True, order=True)
class Component:
    """One package that is inside of an image. `source` and `source_version` are those that advisories speak of, and the
    same as `name` and `version` where there is no other; `licences` are SPDX expressions or the package's own words;
    `sha256` is the digest of the file that it was taken from, empty where only its entry in a database was seen;
    `distribution` is the one of the image that it was found in, or the server that it is from where that is not
    Debian's; empty where the whole inventory's is meant."""

    ecosystem: Ecosystem
    name: str
    version: str
    source: str
    source_version: str
    licences: tuple[str, ...] = ()
    sha256: str = ""
    distribution: str = ""


@dataclass(frozen=True, order=True)
class LooseFile:
    """A file that no component owns. `sha1` is empty in what was looked into before it was asked for."""

    path: str
    sha256: str
    size: int
    sha1: str = ""


@dataclass(frozen=True)
class Inventory:
    """What one layer, image, release or box holds. `distribution` is such as `debian:13`; empty: nothing says it.

    `unread` says, a sentence each, what could not be looked into: with any, there may be more inside than is listed.
    """

    components: tuple[Component, ...] = ()
    files: tuple[LooseFile, ...] = ()
    distribution: str = ""
    unread: tuple[str, ...] = ()

    @classmethod
    def union(cls, parts: Iterable["Inventory"]) -> "Inventory":
        """All of them together, each thing once, in one order; the distribution is the first that one of them names."""
        every = tuple(parts)
        return cls(
            tuple(sorted({component for each in every for component in each.components})),
            _once(file for each in every for file in each.files),
            next((each.distribution for each in every if each.distribution), ""),
            tuple(sorted({text for each in every for text in each.unread})),
        )

    @classmethod
    def parse(cls, data: bytes) -> "Inventory":
        """Raises `DocumentError` when it is damaged or of another format."""
        return read(_INVENTORY, "inventory.json", data, INVENTORY_FORMAT)

    def encode(self) -> bytes:
        return canonical({"format": INVENTORY_FORMAT, **asdict(self)})


def _once(files: Iterable[LooseFile]) -> tuple[LooseFile, ...]:
    """Sorted; of one that is there with its SHA-1 and without, the one with it."""
    found = {(file.path, file.sha256): file for file in sorted(files)}
    return tuple(found[key] for key in sorted(found))


_INVENTORY = TypeAdapter(Inventory)
