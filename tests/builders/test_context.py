"""The build context: the same for every builder, whoever runs it."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.builders.context import write_context
from gitops.errors import BuildError
from gitops.fleet.packages.lockfile import dump_lock, fetched
from gitops.fleet.packages.wanted import parse_wanted
from gitops.model import LockedFile
from gitops.store import Store
from tests.kit.fleets import PACKAGES, load


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mode for path in folder.rglob("*")}


def test_the_umask_of_the_builder_does_not_show(tmp_path: Path) -> None:
    store, made = Store.open(tmp_path / "s"), []
    tree = PACKAGES.with_files({"pkg/hello/a/b/file": "x\n"})
    for umask in (0o022, 0o077):
        before = os.umask(umask)
        try:
            folder = tmp_path / f"{umask}"
            folder.mkdir()
            write_context(store, load(tree)["pkg/hello"], tree, folder)
        finally:
            os.umask(before)
        made.append(modes(folder))
    assert made[0] == made[1] and {"a", "a/b", "debs", "wheels"} <= set(made[0])


def test_a_file_that_was_fetched_is_there_by_its_name(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s")
    wanted = f"fetch https://files.example/get?id=7 sha256:{store.blobs.put(b'modem').sha256} as modem.bin\n"
    (asked,) = parse_wanted(wanted.encode(), "", []).fetches
    lock = dump_lock(wanted.encode(), [fetched(asked, 5)]).decode()
    tree = PACKAGES.with_files({"pkg/hello/packages.in": wanted, "pkg/hello/packages.lock": lock})
    (tmp_path / "context").mkdir()
    write_context(store, load(tree)["pkg/hello"], tree, tmp_path / "context")
    assert (tmp_path / "context/fetched/modem.bin").read_bytes() == b"modem"
    assert (tmp_path / "context/fetched").stat().st_mode & 0o777 == 0o755
    (tmp_path / "other").mkdir()
    write_context(store, load(PACKAGES)["pkg/hello"], PACKAGES, tmp_path / "other")
    assert not (tmp_path / "other/fetched").exists(), "`COPY . /` gives the same layer as before"


def two_of_one_name(store: Store) -> tuple[LockedFile, LockedFile]:
    own, vendors = store.blobs.put(b"libc6 of Debian"), store.blobs.put(b"of a vendor")
    return (
        LockedFile("deb", "libc6", "2.41-1", own.sha256, own.size, "pool/main/g/glibc/libc6_2.41-1_amd64.deb"),
        LockedFile("deb", "evil", "1", vendors.sha256, vendors.size, "https://evil.example/libc6_2.41-1_amd64.deb"),
    )


@pytest.mark.parametrize("rootfs", ["", "custom"])
def test_a_vendor_s_file_of_debian_s_name_does_not_replace_debian_s_in_the_store(tmp_path: Path, rootfs: str) -> None:
    store = Store.open(tmp_path / "s")
    lock = two_of_one_name(store)
    (tmp_path / "context").mkdir()
    package = replace(load(PACKAGES)["pkg/hello"], lock=lock, rootfs=rootfs)
    with pytest.raises(BuildError, match=r"libc6 2.41-1 and evil 1 .* libc6_2.41-1_amd64.deb") as caught:
        write_context(store, package, PACKAGES, tmp_path / "context")
    assert store.blobs.read(lock[0].sha256) == b"libc6 of Debian" and "toweros lock" in caught.value.hint


def test_a_build_step_that_writes_into_its_context_does_not_write_into_the_store(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s")
    debs = two_of_one_name(store)[:1]
    (tmp_path / "context").mkdir()
    write_context(store, replace(load(PACKAGES)["pkg/hello"], lock=debs), PACKAGES, tmp_path / "context")
    with (tmp_path / "context/debs" / debs[0].filename).open("r+b") as file:
        file.write(b"evil")
    assert store.blobs.read(debs[0].sha256) == b"libc6 of Debian"


def test_what_lies_in_the_context_is_as_old_as_in_the_store(tmp_path: Path) -> None:
    """And as open: what a builder remembers of a step counts both."""
    store = Store.open(tmp_path / "s")
    debs = two_of_one_name(store)[:1]
    os.utime(store.blobs.path(debs[0].sha256), (1, 1))
    (tmp_path / "context").mkdir()
    write_context(store, replace(load(PACKAGES)["pkg/hello"], lock=debs), PACKAGES, tmp_path / "context")
    stat = (tmp_path / "context/debs" / debs[0].filename).stat()
    assert (stat.st_mtime, stat.st_mode & 0o777) == (1, 0o644)
