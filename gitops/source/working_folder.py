"""The folder that a verb is given: a fleet repo, or in the first words why it is none, and where one is.

In: a path that somebody typed. Out: its tree. Rules: what is no fleet repo is not read, be it large; one that is nearby
(above, or one folder below) is named.

    fleet_in(Path("fleet")).entries()
    fleet_in(Path("fleet/boxes"))       # SourceError: no fleet.yaml here; the fleet repo is /home/ada/fleet
"""

import os
from itertools import islice
from pathlib import Path

from gitops.errors import Problem, SourceError
from gitops.fleet.repo import FLEET, NO_FLEET
from gitops.source.clone.trees import FolderTree

LOOKED_AT = 1000
"""Entries of a folder in which a fleet repo is looked for."""


class NoFleetError(SourceError):
    """There is no fleet repo in a folder."""


def fleet_in(folder: Path, mistakes: list[Problem] | None = None) -> FolderTree:
    """The files of a fleet repo. With `mistakes`, files that it may not hold are told there, and left out.

    Raises:
        NoFleetError: it is none.
        SourceError: it holds what it may not.
    """
    require(folder)
    return FolderTree(folder, mistakes)


def packages_in(folder: Path) -> FolderTree:
    """The files of a fleet repo, or of a folder that has packages alone, in `pkg/` as LinuxKit has them."""
    return FolderTree(folder) if (folder / "pkg").is_dir() else fleet_in(folder)


def require(folder: Path) -> None:
    """Raises NoFleetError for what is no fleet repo."""
    if not folder.exists():
        hint = "name a fleet repo's folder, or run `toweros init`"
        raise NoFleetError(f"{NO_FLEET}: {folder}: there is no such folder", hint=hint)
    place = folder.resolve()
    if not folder.is_dir():
        raise NoFleetError(f"{NO_FLEET}: {folder} is a file", hint=_nearby(place.parent) or "name the folder")
    if not (place / FLEET).is_file():
        what = f"{NO_FLEET}: {place} is no fleet repo"
        hint = _nearby(place) or "run `toweros init DIR` for a fleet repo to begin with"
        raise NoFleetError(what, hint=hint)


def _nearby(place: Path) -> str:
    """Where a fleet repo is: here or above, else below."""
    above = next((each for each in (place, *place.parents) if (each / FLEET).is_file()), None)
    if above:
        return f"the fleet repo is {above}"
    try:
        with os.scandir(place) as children:
            below = sorted(Path(each.path) for each in islice(children, LOOKED_AT) if each.is_dir())
        below = [each for each in below if (each / FLEET).is_file()]
    except OSError:
        below = []
    return f"did you mean {' or '.join(map(str, below[:3]))}?" if below else ""
