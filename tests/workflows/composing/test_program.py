"""The compose that is asked is the one that the boxes run, or that TowerOS pins; whole, and by its digest."""

import hashlib
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from gitops.builders.places import Places
from gitops.model import Fleet, LockedFile
from gitops.store import Store
from gitops.workflows.composing import program
from gitops.workflows.composing.program import MEMBER, NAME, built, fetched

SAYS = "#!/bin/sh\necho I am compose\n"


@pytest.fixture
def deb(tmp_path: Path) -> bytes:
    """A Debian package with a program in compose's place."""
    root = tmp_path / "root"
    (root / MEMBER).parent.mkdir(parents=True)
    (root / MEMBER).write_text(SAYS)
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN" / "control").write_text(
        "Package: docker-compose\nVersion: 1\nArchitecture: all\nMaintainer: x <x@localhost>\nDescription: x\n"
    )
    subprocess.run(["dpkg-deb", "--build", root, tmp_path / "made.deb"], check=True, capture_output=True)
    return (tmp_path / "made.deb").read_bytes()


def locked(data: bytes) -> LockedFile:
    digest = hashlib.sha256(data).hexdigest()
    return LockedFile("deb", NAME, "1", digest, len(data), "pool/docker-compose_1_all.deb")


def fleet(*files: LockedFile) -> Fleet:
    return SimpleNamespace(packages={"pkg/compose": SimpleNamespace(lock=files)})  # type: ignore[return-value]


def test_a_controller_asks_the_one_that_it_built_and_none_before(tmp_path: Path, deb: bytes) -> None:
    store, folder = Store.open(tmp_path / "state"), tmp_path / "compose"
    assert built(folder, store, fleet(locked(deb))) is None, "nothing is built yet"
    store.blobs.put(deb)
    made = built(folder, store, fleet(locked(b"other"), locked(deb)))
    assert made and made.read_text() == SAYS and made.stat().st_mode & 0o111
    store.blobs.path(locked(deb).sha256).write_bytes(b"")
    assert built(folder, store, fleet(locked(deb))) == made, "it is unpacked once"
    assert [*folder.rglob("*.deb")] == []


def test_whoever_validates_asks_the_pinned_one_whatever_the_folder_says(
    tmp_path: Path, deb: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Places((), (str(tmp_path / "stick"),), mirrors=lambda: ())
    assert fetched(tmp_path / "cache", place) is None, "no place has the pinned one"
    monkeypatch.setattr(program, "parse_lock", lambda *_: (locked(deb),))
    (tmp_path / "stick" / "sha256").mkdir(parents=True)
    stick = tmp_path / "stick" / "sha256" / locked(deb).sha256
    stick.write_bytes(deb[:-1] + b"x")
    assert fetched(tmp_path / "cache", place) is None, "another file than is locked is not unpacked"
    stick.write_bytes(deb)
    made = fetched(tmp_path / "cache", place)
    assert made and made.read_text() == SAYS
    assert fetched(Path("/dev/null/cache"), place) is None, "where it cannot be kept, nobody is asked"
