"""What goes onto a new disk or medium, and the folders in which it is laid out first.

In: a Release, its signed boot files, what belongs to the box. Out: a tree of files that all carry one time. Rules: a
file is written once and never over another; whoever writes a file system calls `settle` right before it.

    put(stage / "loader/loader.conf", data)
    settle(stage)
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gitops.assemble.boot.bios import BiosLoader
from gitops.model import Release

EPOCH = 1_700_000_000
"""Seconds: the one time that everything on a new disk or medium carries."""


@dataclass(frozen=True)
class Contents:
    """What goes onto it. `uki`, `addon` and `loader` are signed; `keys` are public, for the firmware's menu; `box_key`
    is private, empty: there is none. `disk_addon`: the addon of a disk that is installed from this medium. `bios`:
    GRUB, which starts it instead of `loader`. `secrets`: what only this box may know, by name."""

    release: Release
    uki: bytes
    addon: bytes
    loader: bytes
    box_key: bytes
    keys: Mapping[str, bytes] = field(default_factory=dict)
    tuf: Mapping[str, bytes] = field(default_factory=dict)
    disk_addon: bytes = b""
    bios: BiosLoader | None = None
    secrets: Mapping[str, bytes] = field(default_factory=dict)


def folder_in(parent: Path, name: str) -> Path:
    """A new folder with the rights that it has on the box, whatever the umask."""
    folder = parent / name
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    return folder


def put(path: Path, data: bytes, mode: int = 0o644) -> None:
    """A new file with these rights; folders above it are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        stream.write(data)


def settle(stage: Path) -> None:
    """Give everything the one time; folders last, because a file that is touched touches nothing above it."""
    for path in [*stage.rglob("*"), stage]:
        os.utime(path, (EPOCH, EPOCH))
