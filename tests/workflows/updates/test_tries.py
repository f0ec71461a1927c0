"""What does not build is told from a machine that cannot build."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.store.files.layout import Layout
from tests.kit.updates import Patched

OPENSSL, ZLIB = "locks: openssl 3.5.7-1 -> 3.5.9-1", "locks: zlib 1.0-1 -> 1.1-1"
MIB = 1 << 20


def test_a_machine_that_cannot_build_now_holds_no_update(patched: Patched) -> None:
    patched.says("{how: commit}")
    before = patched.refs["main"]
    patched.update()
    patched.fail, patched.transient = "pkg/hello", True
    patched.later()
    patched.look()
    assert patched.refs["main"] == before and not patched.patches.held and "pkg/hello: no" in patched.run().error
    patched.fail = ""
    patched.later(600)
    patched.look()
    assert patched.show("main") == OPENSSL


@pytest.fixture
def disks() -> Iterator[list[Path]]:
    """File systems that a story mounts, largest first: gone when it is told."""
    places = list[Path]()
    yield places
    for place in places:
        subprocess.run(["umount", "-l", place], check=True)


def mount(disks: list[Path], place: Path) -> None:
    """A disk of 4 MiB there."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={4 * MIB}", "none", place], check=True)
    disks.append(place)


def fill(place: Path, leave: int) -> Path:
    """All of a disk but so many bytes."""
    file, found = place / "somebody-elses", os.statvfs(place)
    file.write_bytes(bytes(found.f_bavail * found.f_frsize - leave))
    return file


@pytest.mark.parametrize("how", ["commit", "pull-request"])
def test_a_disk_that_has_no_room_for_one_update_keeps_no_other_and_the_next_try_mends(
    patched: Patched, disks: list[Path], how: str
) -> None:
    blobs = Layout(patched.site.settings.state).blobs
    mount(disks, blobs)
    patched.says(f"{{how: {how}}}")
    patched.debian.add(
        "libssl3", "3.5.9-1", suite="trixie-security", source="openssl", files={"big": os.urandom(MIB).hex()}
    )
    patched.update("libz", "1.1-1", "zlib")
    full = fill(blobs, MIB // 2)
    patched.later()
    patched.look()
    refs = ["main"] if how == "commit" else ["toweros/security/openssl", "toweros/security/zlib"]
    assert [patched.show(ref) for ref in refs if ref in patched.refs] == [ZLIB], patched.run()
    error = patched.run().error
    assert error.startswith("openssl: cannot write") and "No space left" in error and "is the disk full?" in error
    assert not patched.patches.held
    full.unlink()
    patched.later()
    patched.look()
    shown = {patched.show(ref) for ref in refs} | {patched.show("main~1") for _ in refs[:1] if how == "commit"}
    assert {OPENSSL, ZLIB} <= shown and patched.run().error == ""


@pytest.mark.parametrize("there", [True, False], ids=["a clone", "no clone"])
@pytest.mark.parametrize("how", ["commit", "pull-request"])
def test_a_disk_that_takes_no_commit_is_said_in_words_and_the_next_try_mends(
    patched: Patched, disks: list[Path], how: str, there: bool
) -> None:
    """libgit2 has no words for it: "no error"."""
    security = Layout(patched.site.settings.state).security
    mount(disks, security)
    patched.says(f"{{how: {how}}}")
    patched.later()
    patched.look() if there else None
    patched.update()
    full = fill(security, 0)
    patched.later()
    patched.look()
    error = patched.run().error
    assert error.startswith(f"{'openssl: ' if there else ''}cannot write {security}") and "0 KiB are free" in error
    assert "is the disk full?" in f"{error} {patched.run().outcome}"
    full.unlink()
    patched.later()
    patched.look()
    assert patched.show("main" if how == "commit" else "toweros/security/openssl") == OPENSSL
    assert patched.run().error == ""
