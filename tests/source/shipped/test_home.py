"""What a wheel brings beside the modules is the checkout to the byte; a wheel that is not whole says so."""

import io
import runpy
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gitops.errors import TowerosError
from gitops.source import FolderTree
from gitops.source.shipped import home
from tests.kit.console import git

PACKED: Callable[[], bytes] = runpy.run_path(str(home.CHECKOUT / "setup.py"))["packed"]


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where an installed TowerOS has it; not there yet."""
    place = tmp_path / "toweros.tar"
    monkeypatch.setattr(home, "ARCHIVE", place)
    return place


def test_the_tar_of_a_wheel_has_the_trees_of_the_checkout(archive: Path) -> None:
    own = {name: FolderTree(home.CHECKOUT / name) for name in ("boot", "pkg", "fleet-repo-template", "docs")}
    archive.write_bytes(PACKED())
    assert home.installed()
    for name, folder in own.items():
        there = home.tree(name)
        assert there.tree_id("") == folder.tree_id("")
        assert there.entries() == folder.entries()
        assert all(there.read(path) == folder.read(path) for path in folder.entries())
    assert home.text("debian-packages.txt") == (home.CHECKOUT / "debian-packages.txt").read_text()


def test_a_link_and_a_program_stay_what_they_are(archive: Path) -> None:
    with tarfile.open(archive, "w") as files:
        link, program = tarfile.TarInfo("pkg/a/link"), tarfile.TarInfo("pkg/a/run")
        link.type, link.linkname, program.size, program.mode = tarfile.SYMTYPE, "run", 3, 0o755
        files.addfile(link)
        files.addfile(program, io.BytesIO(b"run"))
    folder = archive.parent / "copy"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "run").write_bytes(b"run")
    (folder / "a" / "run").chmod(0o755)
    (folder / "a" / "link").symlink_to("run")
    git(archive.parent, "init", "-q", "copy")
    git(folder, "add", "-A")
    assert home.tree("pkg").tree_id("") == git(folder, "write-tree")


def strange(kind: bytes, name: str = "pkg/odd") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as files:
        odd = tarfile.TarInfo(name)
        odd.type, odd.linkname = kind, "/etc/passwd"
        files.addfile(odd)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"no tar" * 200, id="no tar"),
        pytest.param(strange(tarfile.REGTYPE, "boot/x"), id="without the folder"),
        pytest.param(strange(tarfile.CHRTYPE), id="a device"),
        pytest.param(strange(tarfile.LNKTYPE), id="a hard link"),
        pytest.param(strange(tarfile.REGTYPE, "pkg/../../etc/cron.d/x"), id="a path that leaves"),
        pytest.param(strange(tarfile.REGTYPE, "pkg//x"), id="a path with nothing in it"),
    ],
)
def test_a_wheel_that_is_not_whole_is_told_so(archive: Path, data: bytes) -> None:
    archive.write_bytes(data)
    with pytest.raises(TowerosError, match="missing or damaged") as caught:
        home.tree("pkg")
    assert "install the wheel again" in caught.value.hint


def test_a_wheel_that_was_cut_is_told_so(archive: Path) -> None:
    archive.write_bytes(PACKED()[:700_000])
    with pytest.raises(TowerosError, match="missing or damaged"):
        home.tree("pkg")
