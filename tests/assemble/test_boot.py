"""cpio, modules, PE sections: each against a reader that is not ours."""

import io
import lzma
import os
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

import pefile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitops.assemble.boot import modules
from gitops.assemble.boot.cpio import Node, archive
from gitops.assemble.boot.pe import Section, add_sections
from gitops.assemble.boot.uki import OS_RELEASE, arguments, make_addon, make_uki, signed_line
from gitops.assemble.tars import extract, tree_of
from gitops.errors import AssembleError
from gitops.model import BlobRef, Content, HealthSpec, Network, Release
from tests.kit import built, oci

FILE, FOLDER, LINK = stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK


def a_release(box: str = "demo-1") -> Release:
    ref = BlobRef("0" * 64, 1)
    return Release(box, 7, Content(ref, ref, "console=ttyS0", (), (), HealthSpec()))


# --- cpio ---


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("cpio"), reason="needs root and cpio")
def test_cpio_unpacks_what_we_packed(tmp_path: Path) -> None:
    nodes = {
        "init": Node(FILE | 0o755, data=b"#!/bin/sh\n"),
        "bin": Node(FOLDER | 0o755),
        "bin/sh": Node(LINK | 0o777, data=b"busybox"),
        "bin/busybox": Node(FILE | 0o4755, data=b"x" * 4097, inode="b"),
        "bin/ls": Node(FILE | 0o4755, data=b"x" * 4097, inode="b"),
        "etc/deep/file": Node(FILE | 0o600, uid=3, gid=5, data=b""),
    }
    packed = archive(nodes)
    subprocess.run(["cpio", "-id", "--quiet"], input=packed, cwd=tmp_path, check=True)
    assert (tmp_path / "init").read_bytes() == b"#!/bin/sh\n"
    assert (tmp_path / "bin/sh").readlink() == Path("busybox")
    one, two = (tmp_path / "bin/busybox").stat(), (tmp_path / "bin/ls").stat()
    assert one.st_ino == two.st_ino and one.st_size == 4097 and one.st_mode == FILE | 0o4755
    deep = (tmp_path / "etc/deep/file").stat()
    assert (deep.st_uid, deep.st_gid, deep.st_mode) == (3, 5, FILE | 0o600)
    assert packed.count(b"x" * 4097) == 1


names = st.text("abc.-_ é", min_size=1, max_size=9).filter(
    lambda name: name not in (".", "..") and name.strip() == name
)
trees = st.dictionaries(names, st.binary(max_size=300), max_size=8)


@settings(max_examples=25, deadline=None)
@given(trees)
def test_cpio_lists_every_name_and_order_does_not_matter(files: dict[str, bytes]) -> None:
    nodes = {name: Node(FILE | 0o644, data=data) for name, data in files.items()}
    packed = archive(nodes)
    assert packed == archive(dict(reversed(nodes.items())))
    if shutil.which("cpio"):
        listed = subprocess.run(["cpio", "-t", "--quiet"], input=packed, check=True, capture_output=True).stdout
        assert sorted(listed.decode().splitlines()) == sorted(files)


# --- trees of layers ---


def a_tar(path: Path, files: dict[str, oci.File]) -> Path:
    path.write_bytes(oci.tar(files))
    return path


def test_upper_layers_hide_and_replace(tmp_path: Path) -> None:
    low = a_tar(tmp_path / "low", {"a/": b"", "a/one": b"1", "a/two": b"2", "b/": b"", "b/three": b"3", "c": b"4"})
    high = a_tar(tmp_path / "high", {"a/.wh.one": b"", "b/.wh..wh..opq": b"", "b/new": b"5", "./c": "a/two"})
    tree = tree_of([low, high])
    assert {path: node.data for path, node in tree.items() if not stat.S_ISDIR(node.mode)} == {
        "a/two": b"2", "b/new": b"5", "c": b"a/two",
    }  # fmt: skip
    assert extract([low, high], "b/new", tmp_path / "out") and (tmp_path / "out").read_bytes() == b"5"
    assert not extract([low, high], "nothing", tmp_path / "out")


def test_a_whiteout_hides_nothing_of_its_own_layer(tmp_path: Path) -> None:
    low = a_tar(tmp_path / "low", {"a": b"old"})
    high = a_tar(tmp_path / "high", {"a": b"new", ".wh.a": b""})
    assert tree_of([low, high])["a"].data == b"new"


def test_hard_links_stay_links(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("one")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("two")
        link.type, link.linkname = tarfile.LNKTYPE, "one"
        tar.addfile(link)
    path = tmp_path / "tar"
    path.write_bytes(buffer.getvalue())
    tree = tree_of([path])
    assert tree["one"] == tree["two"] and tree["one"].inode


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/../x"])
def test_paths_that_leave_the_tree_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AssembleError, match="leaves"):
        tree_of([a_tar(tmp_path / "bad", {name: b""})])


# --- modules ---

DEP = b"""kernel/a.ko.xz: kernel/b.ko.xz kernel/c-d.ko
kernel/b.ko.xz: kernel/c-d.ko
kernel/c-d.ko:
"""


def a_kernel(path: Path, **more: bytes) -> Path:
    folder = "usr/lib/modules/6.12"
    files: dict[str, oci.File] = {
        f"{folder}/modules.dep": DEP,
        f"{folder}/modules.builtin": b"kernel/fs/ext4.ko\n",
        f"{folder}/kernel/a.ko.xz": lzma.compress(b"A"),
        f"{folder}/kernel/b.ko.xz": lzma.compress(b"B"),
        f"{folder}/kernel/c-d.ko": b"C",
    }
    return a_tar(path, {**files, **more})


def test_modules_come_after_what_they_need(tmp_path: Path) -> None:
    nodes = modules.needed(["a", "ext4"], a_kernel(tmp_path / "kernel.tar"))
    folder = "usr/lib/modules/6.12/kernel"
    assert nodes[modules.LIST].data.decode() == f"/{folder}/c-d.ko\n/{folder}/b.ko\n/{folder}/a.ko\n"
    assert [nodes[f"{folder}/{name}"].data for name in ("a.ko", "b.ko", "c-d.ko")] == [b"A", b"B", b"C"]


def test_dash_and_underscore_are_one(tmp_path: Path) -> None:
    assert len(modules.needed(["c_d"], a_kernel(tmp_path / "kernel.tar"))) == 2


def test_an_unknown_module_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssembleError, match="no module erofs"):
        modules.needed(["erofs"], a_kernel(tmp_path / "kernel.tar"))


def test_what_only_another_kernel_has_is_left_out(tmp_path: Path) -> None:
    kernel = a_kernel(tmp_path / "kernel.tar")
    assert modules.needed(["?e1000e", "?c_d", "?ext4"], kernel) == modules.needed(["c_d"], kernel)


def test_the_list_of_an_initrd_is_read_without_its_comments() -> None:
    tree = {"etc/modules": Node(FILE, data=b"# early\nvirtio_blk\n\nerofs # root\n")}
    assert modules.requested(tree) == ["virtio_blk", "erofs"]


# --- PE ---


def stub(name: str) -> bytes:
    return built.boot_files()[name].read_bytes()


def sections(image: bytes) -> dict[str, bytes]:
    parsed = pefile.PE(data=image)
    assert not [warning for warning in parsed.get_warnings() if "Byte 0x00 makes up" not in warning]
    return {s.Name.rstrip(b"\0").decode(): s.get_data()[: s.Misc_VirtualSize] for s in parsed.sections}


@pytest.mark.e2e
def test_pefile_reads_the_sections_of_a_uki() -> None:
    image = make_uki(stub("linuxx64.efi.stub"), b"K" * 5000, b"I" * 700, " console=ttyS0\n panic=10 ")
    found = sections(image)
    assert found[".linux"] == b"K" * 5000 and found[".initrd"] == b"I" * 700 + signed_line(
        700, "console=ttyS0 panic=10"
    )
    assert found[".osrel"] == OS_RELEASE and found[".cmdline"] == b"console=ttyS0 panic=10\0"
    assert image == make_uki(stub("linuxx64.efi.stub"), b"K" * 5000, b"I" * 700, "console=ttyS0 panic=10")
    assert {name: data for name, data in sections(stub("linuxx64.efi.stub")).items()}.items() <= found.items()


@pytest.mark.skipif(not shutil.which("cpio"), reason="needs cpio")
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4])
def test_behind_the_initrd_stands_the_line_where_the_kernel_looks_for_it(tmp_path: Path, size: int) -> None:
    more = signed_line(size, " quiet\n panic=10 ")
    assert (size + more.index(b"070701")) % 4 == 0
    subprocess.run(["cpio", "-id", "--quiet"], input=more.lstrip(b"\0"), cwd=tmp_path, check=True)
    assert (tmp_path / "etc/cmdline").read_text() == "quiet panic=10\n"


@pytest.mark.e2e
def test_an_addon_holds_only_a_command_line() -> None:
    plain, found = (
        sections(stub("addonx64.efi.stub")),
        sections(make_addon(stub("addonx64.efi.stub"), a_release(), "http://10.0.2.2:8080", Network())),
    )
    assert set(found) - set(plain) == {".cmdline"}
    release = a_release()
    expected = f"toweros.release={release.digest} toweros.sequence=7 toweros.box=demo-1"
    assert found[".cmdline"].decode() == f"{expected} toweros.server=http://10.0.2.2:8080 toweros.net=dhcp\0"


def test_a_static_address_is_on_the_command_line() -> None:
    network = Network("eth0", "192.0.2.10/24", "192.0.2.1", ("192.0.2.53", "192.0.2.54"))
    assert "toweros.net=eth0,192.0.2.10/24,192.0.2.1,192.0.2.53,192.0.2.54" in arguments(
        a_release(), "http://s", network
    )


@pytest.mark.parametrize("server", ["", "http://a b", 'http://a"b', "http://a\ntoweros.release=1"])
def test_no_second_argument_can_be_smuggled_in(server: str) -> None:
    with pytest.raises(AssembleError, match="server"):
        arguments(a_release(), server, Network())


@pytest.mark.parametrize("damage", [b"", b"MZ", b"\0" * 4096])
def test_what_is_no_stub_is_refused(damage: bytes) -> None:
    with pytest.raises(AssembleError):
        add_sections(damage, [Section(".cmdline", b"x")])


@pytest.mark.e2e
def test_a_full_header_is_refused() -> None:
    with pytest.raises(AssembleError, match="no room"):
        add_sections(stub("addonx64.efi.stub"), [Section(".x", b"x")] * 200)


@pytest.mark.e2e
def test_ukify_reads_our_uki(tmp_path: Path) -> None:
    image = make_uki(stub("linuxx64.efi.stub"), stub("systemd-bootx64.efi"), b"I" * 700, "console=ttyS0")
    with built.toolbox().workspace() as work:
        work.path("a.efi").write_bytes(image)
        said = work.run(["ukify", "inspect", "a.efi"]).decode()
    assert ".cmdline" in said and "console=ttyS0" in said and "ID=toweros" in said
