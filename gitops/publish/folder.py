"""The folder of published metadata, as files; below it a folder for each small repository.

metadata = Folder(store.paths.metadata)
metadata.write("timestamp.json", data)
metadata.read("timestamp.json")         # None: there is no such file
"""

import contextlib
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from gitops.publish.together import appear
from gitops.store.files.blobs import arriving

SUPERSEDED_STAYS = 86400
"""Seconds that superseded metadata stays, for clients that are in the middle of a slow refresh."""
SMALL_STAYS, SMALL_KEEPS = 3600, 32
"""The same of a small repository, whose three files a box fetches within minutes; and how many of each role at most."""
KINDS = ("boxes", "claims", "sites")
FEW = 16
"""Files that are written one by one."""


class Folder:
    """Metadata by file name."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> bytes | None:
        path = self._root / name
        return path.read_bytes() if path.is_file() else None

    def write(self, name: str, data: bytes, staging: Path | None = None) -> None:
        """Clients see the old file or the new one, which is made in the folder `staging`."""
        with arriving(self._root / name, staging) as new:
            new.write_bytes(data)

    def write_all(self, files: Sequence[tuple[str, bytes]], staging: Path | None = None) -> None:
        """All of them are there, also after a power cut, when this returns; in no order."""
        if len(files) <= FEW:
            for name, data in files:
                self.write(name, data, staging)
        else:
            appear(self._root, files, staging)

    def repositories(self) -> list[str]:
        """The small repositories, by name."""
        found: list[str] = []
        for kind in KINDS:
            with contextlib.suppress(FileNotFoundError), os.scandir(self._root / kind) as entries:
                found += [f"{kind}/{entry.name}" for entry in entries if entry.name[0] != "."]
        return found

    def stamp(self, name: str) -> tuple[int, ...] | None:
        """What changes when another file takes a name; None: there is none of it."""
        try:
            known = os.stat(f"{self._root}/{name}")  # noqa: PTH116 - of all boxes, at each look
        except OSError:
            return None
        return known.st_ino, known.st_size, known.st_mtime_ns

    def remove_file(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)

    def remove(self, repository: str) -> None:
        """Nobody is led into a small repository without its timestamp."""
        (self._root / repository / "timestamp.json").unlink(missing_ok=True)
        shutil.rmtree(self._root / repository, ignore_errors=True)

    def prune_small(self, repositories: Iterable[str], now: float | None = None) -> None:
        """Forget what newer versions replaced in these small repositories."""
        now = time.time() if now is None else now
        for repository in repositories:
            versions: dict[str, list[int]] = {}
            for name in (path.name for path in (self._root / repository).iterdir()):
                number, _, role = name.partition(".")
                if number.isdecimal():
                    versions.setdefault(role, []).append(int(number))
            for role, found in versions.items():
                for place, version in enumerate(sorted(found, reverse=True)[1:], 2):
                    path = self._root / repository / f"{version}.{role}"
                    if place > SMALL_KEEPS or now - path.stat().st_mtime > SMALL_STAYS:
                        path.unlink()

    def prune(self, now: float) -> None:
        """Forget versions that newer ones replaced. Every root stays: an old client walks through them all."""
        newest: dict[str, int] = {}
        versions = {path: path.name.split(".", 1) for path in self._root.glob("[0-9]*.json")}
        for version, role in versions.values():
            newest[role] = max(newest.get(role, 0), int(version))
        for path, (version, role) in versions.items():
            old = int(version) < newest[role] and now - path.stat().st_mtime > SUPERSEDED_STAYS
            if old and role != "root.json":
                path.unlink()
