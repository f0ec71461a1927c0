"""Locked files as plain files: out of one store, into another, and nothing that is not what it says."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.builders.files.carry import Carried, export_inputs, import_inputs
from gitops.errors import BuildError, StoreError
from gitops.model import LockedFile, Package, sha256
from gitops.store import Store
from tests.kit.fleets import PACKAGES, load
from tests.kit.rights import humble

CONTENTS = (b"one", b"two" * 100_000)
LOCK = tuple(LockedFile("deb", f"p{n}", "1", sha256(data), len(data), f"p{n}.deb") for n, data in enumerate(CONTENTS))
OWN: Package = replace(load(PACKAGES)["pkg/hello"], lock=LOCK)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store.open(tmp_path / "s")
    for data in CONTENTS:
        made.blobs.put(data)
    return made


def test_a_store_without_mirrors_gets_its_inputs_from_a_folder(tmp_path: Path, store: Store) -> None:
    assert export_inputs(store, [OWN], tmp_path / "usb") == Carried(2, 0)
    other = Store.open(tmp_path / "other")
    assert import_inputs(other, tmp_path / "usb") == Carried(2, 0)
    assert [other.blobs.read(file.sha256) for file in LOCK] == list(CONTENTS)
    assert import_inputs(other, tmp_path / "usb") == Carried(0, 2)


def test_a_second_export_writes_what_is_missing_or_damaged(tmp_path: Path, store: Store) -> None:
    export_inputs(store, [OWN], tmp_path / "usb")
    (tmp_path / "usb/sha256" / LOCK[0].sha256).write_bytes(b"damaged")
    assert export_inputs(store, [OWN], tmp_path / "usb") == Carried(1, 1)
    assert (tmp_path / "usb/sha256" / LOCK[0].sha256).read_bytes() == CONTENTS[0]


def test_nothing_that_is_not_what_its_name_says_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "usb/sha256"
    folder.mkdir(parents=True)
    (folder / LOCK[0].sha256).write_bytes(b"evil")
    (folder / LOCK[1].sha256).symlink_to("/etc/passwd")
    (folder / ".new-half").write_bytes(b"half")
    os.mkfifo(folder / ("0" * 64))  # reading it would wait for ever
    store = Store.open(tmp_path / "s")
    done = import_inputs(store, tmp_path / "usb")
    assert (done.new, done.there) == (0, 0) and len(done.refused) == 3
    assert not store.blobs.names()


def test_a_damaged_blob_does_not_leave_the_store(tmp_path: Path, store: Store) -> None:
    store.blobs.path(LOCK[0].sha256).write_bytes(b"bad")
    with pytest.raises(BuildError, match="damaged"):
        export_inputs(store, [OWN], tmp_path / "usb")
    assert not (tmp_path / "usb/sha256" / LOCK[0].sha256).exists()


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, store: Store) -> None:
    """A limit on the size of files stands for the disk: the same write fails, with another number."""
    program = (
        "import resource, signal, sys; from pathlib import Path; from gitops.store import Store;"
        "from gitops.builders.files.carry import import_inputs;"
        "store = Store.open(Path(sys.argv[1]));"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "import_inputs(store, Path(sys.argv[2]))"
    )
    export_inputs(store, [OWN], tmp_path / "usb")
    words = [sys.executable, "-c", program, tmp_path / "other", tmp_path / "usb"]
    done = subprocess.run(words, capture_output=True, text=True)
    other = Store.open(tmp_path / "other")
    assert done.returncode != 0 and "cannot write" in done.stderr
    assert other.blobs.names() <= {LOCK[0].sha256}


def test_a_file_that_cannot_be_read_is_refused_and_the_others_are_taken(tmp_path: Path, store: Store) -> None:
    export_inputs(store, [OWN], tmp_path / "usb")
    (tmp_path / "usb/sha256" / LOCK[0].sha256).chmod(0)
    other = Store.open(tmp_path / "other")
    with humble():
        assert import_inputs(other, tmp_path / "usb") == Carried(1, 0, (LOCK[0].sha256,))
        (tmp_path / "usb/sha256").chmod(0)
        with pytest.raises(BuildError, match="cannot be read"):
            import_inputs(other, tmp_path / "usb")


def test_a_folder_that_cannot_be_written_is_an_error_with_its_name(tmp_path: Path, store: Store) -> None:
    (tmp_path / "usb").write_text("a file")
    with pytest.raises(StoreError, match="usb"):
        export_inputs(store, [OWN], tmp_path / "usb")


def test_a_folder_that_is_no_export_says_so(tmp_path: Path, store: Store) -> None:
    with pytest.raises(BuildError, match="no such folder"):
        import_inputs(store, tmp_path)
