"""Two parts that differ: the file inside of them is named, whatever the origin made of its own."""

import stat
import struct
import subprocess
from pathlib import Path

import pytest

from gitops.assemble.boot.cpio import Node, archive
from gitops.assemble.boot.pe import Section, add_sections
from gitops.assemble.layers import UUID
from gitops.assemble.tars.erofs import MAGIC, SUPERBLOCK
from gitops.noc.proving import inside
from tests.kit.pe import a_pe_file

FILES = {"etc/a": b"a", "usr/bin/tool": b"tool", "usr/bin/other": b"other"}


def layer(folder: Path, files: dict[str, bytes]) -> Path:
    """By Debian's own tool, which is older than the toolbox's: of a folder."""
    for path, data in files.items():
        (folder / "root" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "root" / path).write_bytes(data)
    subprocess.run(
        ["mkfs.erofs", "-T0", f"-U{UUID}", folder / "layer", folder / "root"], check=True, capture_output=True
    )
    return folder / "layer"


def test_a_layer_names_the_files_that_differ(tmp_path: Path) -> None:
    theirs = layer(tmp_path / "theirs", FILES | {"usr/bin/tool": b"evil", "root/more": b"x"})
    ours = layer(tmp_path / "ours", FILES | {"etc/b": b"b"})
    assert inside.in_layers(theirs, ours) == [
        "/etc/b is ours alone",
        "/root is the origin's alone",
        "/root/more is the origin's alone",
        "/usr/bin/tool: its content",
    ]
    many = layer(tmp_path / "many", FILES | {f"x{number}": b"x" for number in range(9)})
    assert inside.in_layers(many, ours)[-1] == "and more"


@pytest.mark.parametrize("fault", ["circle", "endless", "garbage", "cut"])
def test_a_layer_that_was_made_to_harm_its_reader_ends_in_a_place_and_nothing_else(fault: str, tmp_path: Path) -> None:
    ours = layer(tmp_path / "ours", FILES)
    data = bytearray(layer(tmp_path / "theirs", FILES).read_bytes())
    meta = struct.unpack_from("<I", data, SUPERBLOCK + 40)[0] * 4096
    root = meta + struct.unpack_from("<H", data, SUPERBLOCK + 14)[0] * 32
    if fault == "circle":  # every name of the root leads to the root again
        block = root + (64 if data[root] & 1 else 32)  # its names lie behind it
        for row in range(struct.unpack_from("<H", data, block + 8)[0] // 12):
            struct.pack_into("<Q", data, block + 12 * row, struct.unpack_from("<H", data, SUPERBLOCK + 14)[0])
    elif fault == "endless":
        struct.pack_into("<I", data, root + 8, 0xFFFFFFFF)
    elif fault == "garbage":
        data[SUPERBLOCK + 4 : SUPERBLOCK + 4 + 60] = b"\xff" * 60
    else:
        del data[root + 48 :]
    bad = tmp_path / "bad"
    bad.write_bytes(data)
    assert struct.unpack_from("<I", data, SUPERBLOCK)[0] == MAGIC
    found = inside.in_layers(bad, ours)
    assert len(found) == 1 and found[0].startswith("from byte")


def initrd(nodes: dict[str, Node], early: bytes = b"") -> bytes:
    return early + subprocess.run(["zstd", "-qc"], input=archive(nodes), capture_output=True, check=True).stdout


def test_an_initrd_names_the_files_that_differ() -> None:
    nodes = {"init": Node(stat.S_IFREG | 0o755, data=b"init"), "bin/sh": Node(stat.S_IFREG | 0o755, data=b"sh")}
    early = archive({"kernel/x86/microcode/GenuineIntel.bin": Node(stat.S_IFREG | 0o644, data=b"code")})
    theirs = initrd(nodes | {"init": Node(stat.S_IFREG | 0o755, data=b"evil")}, early)
    assert inside.in_initrds(theirs, initrd(nodes)) == [
        "/init: its content",
        *(f"/{path} is the origin's alone" for path in ("kernel", "kernel/x86", "kernel/x86/microcode")),
        "/kernel/x86/microcode/GenuineIntel.bin is the origin's alone",
    ]
    assert inside.in_initrds(initrd(nodes, early), initrd(nodes, early) + b"x") == [
        f"from byte {len(initrd(nodes, early))} on"
    ]
    assert inside.in_initrds(theirs[:-9], initrd(nodes))[0].startswith("from byte")


def test_an_addon_names_the_word_that_differs_and_nothing_steers_a_terminal() -> None:
    made = [
        add_sections(a_pe_file(), [Section(".cmdline", line)]) for line in (b"a toweros.server=\x1b[2Jx\0", b"a b\0")
    ]
    found = inside.in_boot_files(*made)
    assert found[:2] == [
        "the word 'toweros.server=?[2Jx', which is the origin's alone",
        "the word 'b', which is ours alone",
    ]
    assert inside.in_boot_files(b"no program", b"no pro")[0] == "from byte 6 on"


def test_a_document_names_the_member_that_differs() -> None:
    ours = {"content": {"root": [{"root": "a"}, {"root": "b"}]}, "box": "a"}
    theirs = {"content": {"root": [{"root": "a"}, {"root": "c"}]}, "box": "a", "more": 1}
    assert inside.in_documents(theirs, ours) == ["content.root[1].root", "more"]
