"""`toweros inputs`: what one controller had goes to another one in a folder."""

from pathlib import Path

from gitops.fleet.packages.lockfile import dump_lock
from gitops.model import LockedFile, sha256
from gitops.store import Store
from tests.kit.console import toweros

DATA = b"a locked file"
LOCKED = LockedFile("deb", "thing", "1", sha256(DATA), len(DATA), "pool/thing_1_amd64.deb")


def fleet(folder: Path) -> Path:
    package = folder / "pkg" / "a"
    package.mkdir(parents=True)
    (package / "build.yml").write_text("image: a\n")
    (package / "Dockerfile").write_text("FROM scratch\nCOPY debs /debs\n")
    (package / "packages.in").write_text("deb thing\n")
    (package / "packages.lock").write_bytes(dump_lock(b"deb thing\n", [LOCKED]))
    return folder


def test_out_of_one_store_and_into_another(tmp_path: Path) -> None:
    Store.open(tmp_path / "one", migrate=True).blobs.put(DATA)
    where = ("--dir", fleet(tmp_path / "fleet"), "--state", tmp_path / "one")
    assert toweros("inputs", "export", tmp_path / "usb", "pkg/a/", *where).exit_code == 0
    Store.open(tmp_path / "two", migrate=True)
    assert toweros("inputs", "import", tmp_path / "usb", "--state", tmp_path / "two").exit_code == 0
    assert Store.open(tmp_path / "two").blobs.read(LOCKED.sha256) == DATA


def test_an_unknown_package_and_a_wrong_file_are_errors(tmp_path: Path) -> None:
    Store.open(tmp_path / "one", migrate=True)
    where = ("--dir", fleet(tmp_path / "fleet"), "--state", tmp_path / "one")
    assert "no package pkg/b" in str(toweros("inputs", "export", tmp_path / "usb", "pkg/b", *where).exception)
    (tmp_path / "usb/sha256").mkdir(parents=True)
    (tmp_path / "usb/sha256" / LOCKED.sha256).write_bytes(b"something else")
    done = toweros("inputs", "import", tmp_path / "usb", "--state", tmp_path / "one")
    assert LOCKED.sha256 in str(done.exception)
