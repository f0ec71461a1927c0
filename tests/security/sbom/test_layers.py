"""A component is listed when something of it is there, whatever was done to its files on the way."""

import io
import lzma
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.fleet.packages.lockfile import fetched
from gitops.fleet.packages.wanted import Fetch
from gitops.model import Inventory, LockedFile, sha256
from gitops.security.components import of_lock
from gitops.security.sbom import parts as opened
from gitops.security.sbom import words
from gitops.security.sbom.layers import inventories
from gitops.security.sbom.parts import Part, parts
from gitops.store import Store
from tests.kit.debs import copyright_of, deb, locked, wheel
from tests.kit.oci import File, tar


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "s")


def names(found: Inventory) -> list[str]:
    return [component.name for component in found.components]


def look(
    store: Store, layer: Mapping[str, File] | bytes, lock: tuple[LockedFile, ...], *siblings: LockedFile
) -> Inventory:
    data = layer if isinstance(layer, bytes) else tar(layer)
    place = store.blobs.path(store.blobs.put(data).sha256)
    others: list[Part] = parts(siblings, store.blobs.path)
    return inventories({"one": place}, parts(lock, store.blobs.path), lambda: others)["one"]


def test_name_source_and_licence_come_from_the_package_and_not_from_the_layer(store: Store, tmp_path: Path) -> None:
    text = copyright_of("GPL-2+", "Expat or BSD-3-clause", "my-own").encode()
    files = {"bin/tool": b"tool", "usr/share/doc/tool/copyright": text}
    lock = locked(store, deb(tmp_path, "tool", files, "2:1.0-1+b1", "Source: tools (2:1.0-1)\n"))
    (found,) = look(store, {"usr/bin/tool": b"tool"}, lock).components
    assert (found.name, found.version) == ("tool", "2:1.0-1+b1")
    assert (found.source, found.source_version) == ("tools", "2:1.0-1")
    assert found.licences == ("GPL-2.0-or-later", "LicenseRef-my-own", "MIT OR BSD-3-Clause")
    assert found.sha256 == lock[0].sha256


def test_a_signed_kernel_counts_as_the_source_that_advisories_speak_of(store: Store, tmp_path: Path) -> None:
    control = "Source: linux-signed-amd64 (6.1+1)\nBuilt-Using: linux (= 6.1-1)\n"
    lock = locked(store, deb(tmp_path, "linux-image-6.1", {"boot/vmlinuz": b"kernel"}, "6.1-1", control))
    (found,) = look(store, {"kernel": b"kernel"}, lock).components
    assert (found.source, found.source_version) == ("linux", "6.1-1")


def test_a_licence_that_another_package_holds_is_found_there(store: Store, tmp_path: Path) -> None:
    text = {"usr/share/doc/base/copyright": copyright_of("ISC").encode()}
    own = {"usr/lib/own": b"own", "usr/share/doc/own": "base"}
    lock = locked(store, deb(tmp_path, "base", text), deb(tmp_path, "own", own))
    assert [each.licences for each in look(store, {"usr/lib/own": b"own"}, lock).components] == [("ISC",)]


def test_a_licence_that_no_program_can_read_is_unknown(store: Store, tmp_path: Path) -> None:
    files = {"usr/bin/a": b"a", "usr/share/doc/a/copyright": b"You may do as you like. GPL, or so."}
    lock = locked(store, deb(tmp_path, "a", files))
    assert look(store, {"usr/bin/a": b"a"}, lock).components[0].licences == ()


def test_what_left_the_layer_is_not_listed_and_what_changed_in_it_is(store: Store, tmp_path: Path) -> None:
    lock = locked(
        store,
        deb(tmp_path, "gone", {"usr/bin/gone": b"gone"}),
        deb(tmp_path, "docs", {"usr/share/doc/docs/copyright": b"x"}),
        deb(tmp_path, "changed", {"etc/passwd": b"as packed"}),
    )
    found = look(store, {"etc/passwd": b"edited", "usr/bin/own": b"own"}, lock)
    assert names(found) == ["changed"]
    assert [(file.path, file.sha256) for file in found.files] == [
        ("etc/passwd", sha256(b"edited")),
        ("usr/bin/own", sha256(b"own")),
    ]


def test_a_program_under_another_name_and_one_in_a_tar_are_found_by_content(store: Store, tmp_path: Path) -> None:
    lock = locked(
        store,
        deb(tmp_path, "stub", {"usr/lib/efi/stub": b"stub"}),
        deb(tmp_path, "modules", {"lib/modules/1/a.ko": b"module"}),
        deb(tmp_path, "other", {"usr/bin/other": b"other"}),
    )
    layer = {"linuxx64.efi.stub": b"stub", "kernel.tar": tar({"usr/lib/modules/1/a.ko": b"module"})}
    found = look(store, layer, lock)
    assert names(found) == ["modules", "stub"]
    assert [file.path for file in found.files] == ["kernel.tar"], "the tar itself is ours"


def test_an_empty_file_proves_nothing(store: Store, tmp_path: Path) -> None:
    lock = locked(store, deb(tmp_path, "a", {"etc/a": b"", "usr/bin/a": b"a"}), deb(tmp_path, "b", {"etc/b": b"b"}))
    assert names(look(store, {"etc/b": b"b", "etc/hostname": b""}, lock)) == ["b"]


def test_when_nothing_of_the_lock_is_found_all_of_it_counts(store: Store, tmp_path: Path) -> None:
    lock = locked(store, deb(tmp_path, "a", {"usr/bin/a": b"a"}), deb(tmp_path, "b", {"usr/bin/b": b"b"}))
    assert names(look(store, {"opt/linked-together": b"ab"}, lock)) == ["a", "b"]


def test_a_package_whose_file_is_gone_or_damaged_counts_and_the_inventory_says_so(store: Store, tmp_path: Path) -> None:
    lock = locked(store, deb(tmp_path, "a", {"usr/bin/a": b"a"}), deb(tmp_path, "b", {"usr/bin/b": b"b"}))
    store.blobs.path(lock[0].sha256).write_bytes(b"damaged")
    found = look(store, {"usr/bin/b": b"b"}, lock)
    assert names(found) == ["a", "b"] and found.unread == ("a 1-1: its file cannot be read",)
    store.blobs.remove(lock[0].sha256)
    assert look(store, {"usr/bin/b": b"b"}, lock) == found


def test_a_layer_that_cannot_be_read_holds_all_of_its_lock(store: Store, tmp_path: Path) -> None:
    lock = locked(store, deb(tmp_path, "a", {"usr/bin/a": b"a"}))
    found = look(store, b"no tar", lock)
    assert names(found) == ["a"] and "cannot be read" in found.unread[0]


def test_a_wheel_is_found_by_its_byte_code(store: Store) -> None:
    pure = wheel("Pure_Thing", {"pure/__init__.py": b"x = 1"}, "License-Expression: MIT")
    lock = locked(store, pure, wheel("other", {"other.py": b"y = 1"}))
    (found,) = look(store, {"usr/lib/python3/dist-packages/pure/__init__.pyc": b"\0compiled"}, lock).components
    assert (found.name, found.version, found.licences) == ("pure-thing", "1", ("MIT",))


def test_a_program_that_was_copied_out_of_a_stage_is_the_stages(store: Store, tmp_path: Path) -> None:
    lock = locked(store, deb(tmp_path, "own", {"usr/bin/own": b"own"}))
    tools = deb(tmp_path, "tools", {"usr/bin/unshare": b"unshare"}), deb(tmp_path, "build", {"usr/bin/own": b"older"})
    found = look(store, {"usr/bin/own": b"own", "usr/bin/unshare": b"unshare"}, lock, *locked(store, *tools))
    assert names(found) == ["own", "tools"] and found.files == (), "a tool that only built has no file of that content"


def test_hard_links_and_folders_with_a_merged_usr_are_the_packages_own(store: Store, tmp_path: Path) -> None:
    lock = locked(store, deb(tmp_path, "a", {"lib/a.so": b"library"}))
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        info = tarfile.TarInfo("usr/lib/a.so")
        info.size = len(b"library")
        archive.addfile(info, io.BytesIO(b"library"))
        link = tarfile.TarInfo("usr/lib/a.so.1")
        link.type, link.linkname = tarfile.LNKTYPE, "usr/lib/a.so"
        archive.addfile(link)
    found = look(store, output.getvalue(), lock)
    assert names(found) == ["a"] and found.files == ()


def test_the_distribution_is_what_the_layer_says(store: Store) -> None:
    layer: dict[str, File] = {"usr/lib/os-release": b'PRETTY_NAME="Debian"\nID=debian\nVERSION_ID="13"\n'}
    assert look(store, layer, ()).distribution == "debian:13"


def test_a_fetched_file_counts_in_whatever_form_it_is_there(store: Store, tmp_path: Path) -> None:
    archive = store.blobs.put(tar({"fw/modem.bin": b"modem"}))
    fetch = fetched(Fetch("modem.tar", "https://files.example/modem.tar", archive.sha256), archive.size)
    lock = (fetch, *locked(store, deb(tmp_path, "a", {"usr/bin/a": b"a"})))
    found = look(store, {"usr/bin/a": b"a", "usr/lib/firmware/modem.bin": b"modem"}, lock)
    assert names(found) == ["a", "modem.tar"] and found.files == () and found.unread == ()
    assert names(look(store, {"usr/bin/a": b"a", "x": b"linked together"}, lock)) == ["a", "modem.tar"]
    (purl,) = (str(words.purl(each, found)) for each in found.components if each.ecosystem == "generic")
    assert f"checksum=sha256:{archive.sha256}" in purl and "files.example" in purl


def test_a_package_of_somebodys_repository_is_not_debians(store: Store, tmp_path: Path) -> None:
    (own,) = locked(store, deb(tmp_path, "tool", {"usr/bin/tool": b"tool"}))
    lock = (replace(own, path="https://packages.example:8443/apt/pool/tool.deb"),)
    found = look(store, {"usr/bin/tool": b"tool", "etc/os-release": b"ID=debian\nVERSION_ID=13\n"}, lock)
    assert found.distribution == "debian:13" and found.components[0].distribution == "packages.example"
    store.blobs.path(own.sha256).write_bytes(b"damaged")
    assert look(store, {"usr/bin/tool": b"tool"}, lock).components[0].distribution == "packages.example"


def test_a_package_that_unpacks_without_end_counts_as_its_lock_says(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few KiB of zeros, packed, took the disk; an xz header that asks for 4 GiB took the memory."""
    monkeypatch.setattr(opened, "MOST", 1 << 20)
    file, data = deb(tmp_path, "bomb", {"usr/share/zeros": b"\0" * (2 << 20)})
    assert len(data) < 100_000
    inflated = opened.part(file, written(tmp_path, data))
    assert inflated == Part(of_lock(file), opened=False)
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 192 << 20, "mf": lzma.MF_HC3, "mode": lzma.MODE_FAST}]
    hungry = lzma.compress(tar({"x": b"1"}), filters=filters)
    fetched = LockedFile("fetch", "hungry.tar.xz", "", "ab" * 32, len(hungry), "https://files.example/hungry.tar.xz")
    assert set(opened.part(fetched, written(tmp_path, hungry)).files) == {"hungry.tar.xz"}


def test_a_wheel_that_says_more_than_is_unpacked_counts_as_its_lock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "MOST", 1 << 20)
    file, data = wheel("bomb", {"bomb.py": b"#" * (1 << 20)})
    assert opened.part(file, written(tmp_path, data)) == Part(of_lock(file), opened=False)


def written(folder: Path, data: bytes) -> Path:
    (folder / "locked").write_bytes(data)
    return folder / "locked"
