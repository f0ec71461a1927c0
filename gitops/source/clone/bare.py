"""The bare clone on disk: opened, swept of what a killed controller left, checked, made again when it is damaged."""

import hashlib
import shutil
from contextlib import suppress
from pathlib import Path

import pygit2
import structlog

from gitops.errors import SourceError
from gitops.source.clone.remote import Access, download

log = structlog.get_logger(__name__)

DEPLOYED = "refs/toweros/deployed"
DAMAGE = (pygit2.GitError, KeyError, ValueError, OSError)
"""What libgit2 raises when an object is missing, garbled or not what its name says."""


SPACE = 64 << 20
"""Bytes without which a clone is not made again: a half one must not replace what is left of the last good state."""


def intact(file: Path) -> bool:
    """Whether a pack or its index ends with the SHA-1 of what is before (gitformat-pack).

    libgit2 maps both into memory and trusts them there: damage must be found before it looks.
    """
    digest, left = hashlib.sha1(usedforsecurity=False), file.stat().st_size - 20
    with file.open("rb") as stream:
        while left > 0 and (chunk := stream.read(min(left, 1 << 20))):
            digest.update(chunk)
            left -= len(chunk)
        return stream.read() == digest.digest()


def open_clone(folder: Path) -> pygit2.Repository:
    """The clone below `folder`; a new one if there is none, or it is damaged."""
    path = folder / "clone.git"
    if (folder / "clone.old").exists() and not path.exists():
        (folder / "clone.old").rename(path)  # the power went between the two renames of `rebuild`
    for leftover in ("clone.new", "clone.old"):
        shutil.rmtree(folder / leftover, ignore_errors=True)
    for file in (*path.rglob("*.lock"), *path.glob("objects/pack/pack_*")):
        file.unlink()
    pygit2.settings.enable_fsync_gitdir(True)
    if all(intact(file) for file in path.glob("objects/pack/pack-*.*") if file.suffix in (".pack", ".idx")):
        with suppress(pygit2.GitError):
            return pygit2.Repository(str(path))
    if path.exists():
        log.warning("source.damaged", clone=str(path))
        shutil.rmtree(path, ignore_errors=True)
    return pygit2.init_repository(str(path), bare=True)


def rebuild(folder: Path, old_clone: pygit2.Repository) -> pygit2.Repository:
    """An empty clone that takes over what is sound of the last deployed commit; the rest is fetched again."""
    path, new, old = (folder / name for name in ("clone.git", "clone.new", "clone.old"))
    if shutil.disk_usage(folder).free < SPACE:
        hint = f"free {SPACE >> 20} MiB; what is there of the clone stays"
        raise SourceError(f"{folder}: no space to fetch the clone again", hint=hint, transient=True)
    shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    fresh = pygit2.init_repository(str(new), bare=True)
    with suppress(*DAMAGE):
        download(fresh, Access(str(path)), f"+{DEPLOYED}:{DEPLOYED}")
    old_clone.free()
    if path.exists():
        path.rename(old)
    new.rename(path)
    shutil.rmtree(old, ignore_errors=True)
    return pygit2.Repository(str(path))
