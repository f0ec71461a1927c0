"""What gets another name, or another's place: what is where at which moment, and what is told of a disk that fails."""

import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from toweros_agent.host import renaming
from toweros_agent.host.renaming import exchange, rename, replace, settle

Way = Callable[[Path, Path], None]
WAYS: dict[str, Way] = {"rename": lambda old, new: rename(old, new, check=False), "replace": replace}


def failing(why: int) -> Callable[[Path, Path], None]:
    def nothing(one: Path, other: Path) -> None:
        raise OSError(why, os.strerror(why))

    return nothing


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What is synced, and what leaves the page cache: (call, name, ...), in order; nothing else is changed."""
    seen: list[tuple[object, ...]] = []
    fsync, advise, unlink = os.fsync, os.posix_fadvise, os.unlink

    def name(handle: int) -> str:
        return Path(f"/proc/self/fd/{handle}").readlink().name

    def note_fsync(handle: int) -> None:
        seen.append(("fsync", name(handle)))
        fsync(handle)

    def note_advise(handle: int, *words: int) -> None:
        seen.append(("advise", name(handle), *words))
        advise(handle, *words)

    def note_unlink(path: Path) -> None:
        seen.append(("unlink", path.name))
        unlink(path)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "posix_fadvise", note_advise)
    monkeypatch.setattr(os, "unlink", note_unlink)
    return seen


@pytest.mark.parametrize("why", [None, errno.EINVAL, errno.ENOSYS], ids=["exchange", "EINVAL", "ENOSYS"])
def test_a_file_takes_the_place_of_another_and_lasts_before_the_old_content_goes(
    tmp_path: Path, why: int | None, done: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    new, old = tmp_path / "loader.efi.new", tmp_path / "loader.efi"
    new.write_bytes(b"new")
    old.write_bytes(b"old")
    if why:
        monkeypatch.setattr(renaming, "exchange", failing(why))
    replace(new, old)
    assert [path.name for path in tmp_path.iterdir()] == ["loader.efi"] and old.read_bytes() == b"new"
    assert ("fsync", "loader.efi") in done and done[-1] == ("fsync", tmp_path.name)
    if not why:
        assert done.index(("fsync", "loader.efi")) < done.index(("unlink", "loader.efi.new"))


@pytest.mark.parametrize("way", WAYS)
def test_a_disk_that_fails_is_no_kernel_without_exchange_and_nothing_is_lost(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain rename, in its place, would be what a power cut empties."""
    one, other = tmp_path / "toweros-8+2-1.efi", tmp_path / "toweros-8.efi"
    one.write_bytes(b"kernel")
    monkeypatch.setattr(renaming, "exchange", failing(errno.EIO))
    with pytest.raises(OSError) as caught:
        WAYS[way](one, other)
    assert caught.value.errno == errno.EIO and one.read_bytes() == b"kernel"
    assert not other.exists() or other.stat().st_size == 0


def test_an_exchange_that_the_kernel_refuses_is_told_with_its_reason(tmp_path: Path) -> None:
    there = tmp_path / "toweros-8.efi"
    there.write_bytes(b"kernel")
    ctypes.set_errno(errno.EINVAL)  # of another call: with this one, a plain rename would be tried
    with pytest.raises(FileNotFoundError, match=r"gone\.efi"):
        exchange(tmp_path / "gone.efi", there)
    assert there.read_bytes() == b"kernel"


def test_what_was_settled_is_read_from_the_disk_all_of_it_and_leaves_no_handle_open(
    tmp_path: Path, done: list[tuple[object, ...]]
) -> None:
    """A page that stays in the cache gives back what was written, not what the disk has."""
    file = tmp_path / "toweros-8.efi"
    file.write_bytes(b"kernel")
    before = len([*Path("/proc/self/fd").iterdir()])
    settle(file)
    assert done == [("fsync", file.name), ("advise", file.name, 0, 0, os.POSIX_FADV_DONTNEED)]
    assert len([*Path("/proc/self/fd").iterdir()]) == before
