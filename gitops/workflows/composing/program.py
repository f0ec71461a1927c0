"""The pinned compose, as a program of this machine: no engine is needed to read a file.

In: a folder that keeps it; a store, or the places where locked files are. Out: the path of the program, or None while
it is not here. Rules: a controller takes the one of the commit that deploys, which was built already; who validates a
folder takes the one that this TowerOS pins, whatever the folder says: nothing of a stranger's is run to look at it.

    built(Path("state/compose"), store, fleet)
    fetched(Path("~/.cache/toweros/compose"), Places())
"""

import io
import os
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import structlog

from gitops.builders.files.download import Answer, Patience, download
from gitops.builders.places import Places
from gitops.errors import TowerosError
from gitops.fleet.packages.lockfile import parse_lock
from gitops.model import Fleet, LockedFile
from gitops.process import run
from gitops.source.shipped import home
from gitops.store import Store

log = structlog.get_logger(__name__)

NAME, LOCK, WANTED = "docker-compose", "compose/packages.lock", "compose/packages.in"
MEMBER = "./usr/libexec/docker/cli-plugins/docker-compose"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "toweros" / "compose"
"""Keeps it between runs of a command."""
PATIENCE = Patience(connect=5.0, silence=10.0, least=30.0, pace=256 << 10, attempts=1)
"""Somebody waits at a terminal: a slow mirror is no mirror."""


def built(folder: Path, store: Store, fleet: Fleet) -> Path | None:
    """The one that a fleet's boxes run, if the store has what it was built of."""
    files = (file for package in fleet.packages.values() for file in package.lock if file.name == NAME)
    file = next((each for each in files if store.blobs.has(each.sha256)), None)
    return _kept(folder, file, lambda _: store.blobs.path(file.sha256)) if file else None


def fetched(folder: Path, places: Places) -> Path | None:
    """The one that this TowerOS pins, from the first place that has it."""
    file = _pinned()
    return _kept(folder, file, lambda new: _download(file, places, new)) if file else None


def kept(folder: Path) -> Path | None:
    """The one that this TowerOS pins, if it was fetched before."""
    file = _pinned()
    program = folder / file.sha256 / NAME if file else folder
    return program if program.is_file() else None


def _pinned() -> LockedFile | None:
    tree = home.tree("pkg")
    files = parse_lock(tree.read(LOCK), LOCK, tree.read(WANTED), [])
    return next((each for each in files if each.name == NAME), None)


def _download(file: LockedFile, places: Places, new: Path) -> Path | None:
    had = (place for place in places.of(file) if download(place, file, new, PATIENCE) is Answer.had)
    return new if next(had, None) else None


def _kept(folder: Path, file: LockedFile, package: Callable[[Path], Path | None]) -> Path | None:
    """The program out of the Debian package that `package` brings to a path, unless it is there already."""
    program = folder / file.sha256 / NAME
    try:
        if not program.is_file():
            program.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=program.parent) as scratch:
                deb = package(Path(scratch, "package.deb"))
                if deb is None:
                    return None
                _unpack(deb, Path(scratch, NAME)).replace(program)  # whole or not at all
    except (OSError, TowerosError, tarfile.TarError, KeyError) as error:
        log.warning("compose.not_here", error=str(error))
        return None
    return program


def _unpack(deb: Path, new: Path) -> Path:
    with tarfile.open(fileobj=io.BytesIO(run(["dpkg-deb", "--fsys-tarfile", deb]))) as archive:
        member = archive.extractfile(MEMBER)
        new.write_bytes(member.read() if member else b"")
    new.chmod(0o755)
    return new
