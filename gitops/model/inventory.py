"""What is inside: components, and where each one came from."""

import enum
from dataclasses import dataclass


class Ecosystem(enum.StrEnum):
    """Whose names and versions a component has."""

    debian = "debian"
    alpine = "alpine"
    rpm = "rpm"
    pypi = "pypi"


@dataclass(frozen=True, order=True)
class Component:
    """One package that is inside of an image. `source` and `source_version` are those that advisories speak of, and the
    same as `name` and `version` where there is no other; `licences` are SPDX expressions or the package's own words;
    `sha256` is the digest of the file that it was taken from, empty where only its entry in a database was seen."""

    ecosystem: Ecosystem
    name: str
    version: str
    source: str
    source_version: str
    licences: tuple[str, ...] = ()
    sha256: str = ""


@dataclass(frozen=True, order=True)
class LooseFile:
    """A file that no component owns."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Inventory:
    """What one layer, image, release or box holds. `distribution` is such as `debian:13`; empty: nothing says it."""

    components: tuple[Component, ...] = ()
    files: tuple[LooseFile, ...] = ()
    distribution: str = ""
