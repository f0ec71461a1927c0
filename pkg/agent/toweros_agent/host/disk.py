"""The partition `TOWEROS`: layers, releases, and the logs of boots.

A file is written beside its name, synced, and renamed: after a power cut there is the old one or the new one.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from toweros_agent.host import room
from toweros_agent.host.verity import tree_size
from toweros_agent.nouns import Layer, Refused, Release

HEADROOM = 32 << 20
"""Bytes of `TOWEROS` that a download leaves free."""
MAX_LOG = 64 << 10
LAST_LINES = 20


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` last."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path: Path, data: bytes) -> None:
    """Write a file so that a power cut leaves the old one or the new one."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def last_lines(path: Path) -> str:
    try:
        return "\n".join(path.read_bytes()[-MAX_LOG:].decode(errors="replace").splitlines()[-LAST_LINES:])
    except OSError:
        return ""


def take_crash(pstore: Path) -> str:
    """What the kernel left in pstore, once."""
    dumps = sorted(pstore.glob("dmesg-*"))
    crash = last_lines(dumps[-1]) if dumps else ""
    for dump in dumps:
        with contextlib.suppress(OSError):
            dump.unlink()
    return crash


class Disk:
    """`TOWEROS`, mounted at `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.layers, self.releases, self.state = root / "layers", root / "releases", root / "state"
        self.tuf, self.identity = root / "tuf", root / "identity"
        for folder in (self.layers, self.releases, self.state, self.tuf):
            folder.mkdir(exist_ok=True)

    def layer(self, layer: Layer) -> Path:
        return self.layers / layer.root

    def has(self, layer: Layer) -> bool:
        """Files get a layer's name only after they were sealed; size finds what a broken file system lost since."""
        try:
            return self.layer(layer).stat().st_size == layer.size + tree_size(layer.size)
        except OSError:
            return False

    def demand(self, size: int) -> None:
        """Raises `Refused` when `size` more bytes do not fit."""
        room.demand("TOWEROS", self.root, size + HEADROOM)

    def document(self, digest: str) -> Path:
        """Of the release with this digest."""
        return self.releases / f"{digest}.json"

    def add_release(self, data: bytes, release: Release) -> None:
        write(self.document(release.digest), data)

    def read_release(self, digest: str) -> Release | None:
        with contextlib.suppress(OSError, Refused):
            return Release.parse(self.document(digest).read_bytes())
        return None

    def collect(self, releases: Iterable[Release], *, downloads: Iterable[Layer] = ()) -> None:
        """Remove every release but these, then every layer that none has. Half downloads of `downloads` stay."""
        releases = list(releases)
        named = {f"{release.digest}.json" for release in releases}
        needed = {layer.root for release in releases for layer in release.layers()}
        wanted = {layer.root for layer in downloads}
        for path in self.releases.iterdir():
            if path.name not in named:
                path.unlink()
        sync_folder(self.releases)
        for path in self.layers.iterdir():
            if path.name not in needed and path.name.split(".")[0] not in wanted:
                path.unlink()

    def log(self, sequence: int, line: str) -> None:
        """Append to this boot's log, which tells the next boot why this one ended. A full disk loses only the line."""
        path = self.state / f"boot-{sequence}.log"
        with contextlib.suppress(OSError):
            if path.exists() and path.stat().st_size > MAX_LOG:
                write(path, path.read_bytes()[-MAX_LOG // 2 :])
            with path.open("a") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())

    def why(self, sequence: int) -> tuple[str, str]:
        """What the initrd wrote before it gave up on a release, and the last lines of its boot."""
        why = last_lines(self.state / f"why-{sequence}").strip()
        return why, "\n".join(filter(None, [last_lines(self.state / f"boot-{sequence}.log"), why]))

    def in_trial(self, sequence: int) -> bool:
        """Had a release's last boot come as far as its trial?"""
        with contextlib.suppress(OSError):
            return b"--begin_trial-->" in (self.state / f"boot-{sequence}.log").read_bytes()
        return False

    def forget(self, sequence: int) -> None:
        """Drop the traces of a release's earlier boots, so that the next one tells its own story."""
        for name in (f"boot-{sequence}.log", f"why-{sequence}"):
            (self.state / name).unlink(missing_ok=True)
