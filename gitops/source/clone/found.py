"""The repository around a folder of a user's, found as Git finds it, and none that came with the files in it.

In: a folder. Out: its repository; None: there is none. Rules: a folder that holds `HEAD`, `objects` and
`refs` is a bare repository to whoever looks for one, and a commit may hold such a folder (git-config(1),
`safe.bareRepository`): what the repository around it tracks is a file of that one, and no repository. A clone in which
somebody gave commits other parents (gitrepository-layout(5), info/grafts, which libgit2 heeds and no option turns off)
is refused by name: what it says of history is true nowhere else. `refs/replace` is not heeded by libgit2.

    around(Path("fleet/boxes"))         # Repository('/home/ada/fleet/.git/')
"""

from pathlib import Path

import pygit2

from gitops.errors import SourceError
from gitops.source.remotes.unfit import common_folder


def around(folder: Path) -> pygit2.Repository | None:
    """The repository that a folder lies in, or is; None: there is none.

    Raises:
        SourceError: it cannot be read, or it says of history what is not so.
    """
    found = pygit2.discover_repository(str(folder))
    place = Path(found) if found else None
    while place and (outer := _outside(place)) and _tracks(outer, place / "HEAD"):
        place = Path(outer)
    if place is None:
        return None
    _check_parents(place)
    try:
        return pygit2.Repository(str(place))
    except pygit2.GitError as error:
        raise SourceError(f"{place}: the repository cannot be read: {error}", hint="clone it again") from error


def _outside(place: Path) -> str:
    """The repository around a bare one; empty: it is none that files could bring."""
    above = place.resolve().parent
    return (
        "" if place.name == ".git" or (place / "commondir").exists() else pygit2.discover_repository(str(above)) or ""
    )


def _tracks(repository: str, file: Path) -> bool:
    """Whether a repository has a file among its own."""
    outer = pygit2.Repository(repository)
    top, path = Path(outer.workdir or "/").resolve(), file.resolve()
    return bool(outer.workdir) and path.is_relative_to(top) and path.relative_to(top).as_posix() in outer.index


def _check_parents(place: Path) -> None:
    """Raises SourceError for a repository that gives commits other parents than they have."""
    file = common_folder(place) / "info/grafts"
    if file.is_file() and file.stat().st_size:
        hint = "remove it, or ask another clone; `git replace --convert-graft-file` keeps what it says for `git log`"
        raise SourceError(f"{file} gives commits other parents than they have", hint=hint)
