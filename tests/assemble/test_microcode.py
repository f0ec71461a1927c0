"""Microcode goes before the initrd, and nothing else can in its place."""

import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from gitops.assemble.boot.cpio import Node, archive
from gitops.assemble.boot.microcode import early
from gitops.assemble.release import BOOTLOADER, INITRD, Assembler
from gitops.errors import AssembleError
from gitops.model import Box, Spec
from gitops.store import Store
from tests.kit import built, oci

INTEL = "kernel/x86/microcode/GenuineIntel.bin"
MICROCODE = archive({INTEL: Node(stat.S_IFREG | 0o644, data=b"microcode")})


def test_it_is_filled_up_to_where_the_kernel_expects_the_next_archive() -> None:
    said = early(MICROCODE + bytes(3), "ucode.cpio")
    assert said.startswith(MICROCODE) and len(said) % 4 == 0


def test_busyboxs_archive_of_single_files_is_one(tmp_path: Path) -> None:
    """As pkg/kernel-full makes it: without the folders."""
    (tmp_path / INTEL).parent.mkdir(parents=True)
    (tmp_path / INTEL).write_bytes(b"some")
    done = subprocess.run(
        ["busybox", "cpio", "-o", "-H", "newc"], cwd=tmp_path, input=INTEL.encode(), capture_output=True, check=True
    )
    assert early(done.stdout, "x").startswith(done.stdout)


def other(path: str) -> bytes:
    return archive({INTEL: Node(stat.S_IFREG | 0o644, data=b"m"), path: Node(stat.S_IFREG | 0o755, data=b"evil")})


@pytest.mark.parametrize(
    ("data", "words"),
    {
        "a program beside it": (other("init"), "holds 'init'"),
        "a file of another name": (other("kernel/x86/microcode/x"), "holds 'kernel/x86/microcode/x'"),
        "a way out": (other("kernel/../init"), "holds 'kernel/..'"),
        "a second archive behind it": (MICROCODE + other("init"), "something stands behind its end"),
        "compressed": (b"\x1f\x8b" + bytes(200), "byte 0 begins no entry"),
        "cut off": (MICROCODE[:150], "begins no entry"),
        "a size that is no number": (MICROCODE[:54] + b"zzzzzzzz" + MICROCODE[62:], "no microcode"),
        "a size below nothing": (MICROCODE[:54] + b"-0000094" + MICROCODE[62:], "no microcode"),
        "a name that is no text": (MICROCODE.replace(b"kernel/x86/microcode", b"\xff" * 20), "no microcode"),
        "nothing": (b"", "byte 0 begins no entry"),
    }.values(),
)
def test_whatever_is_no_microcode_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(AssembleError, match=words):
        early(data, "ucode.cpio")


@pytest.mark.e2e
def test_a_release_starts_with_the_microcode_that_its_spec_names(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    kernel: Mapping[str, oci.File] = {
        "kernel": b"K",
        "kernel.tar": oci.tar({"usr/lib/modules/1/modules.dep": b"", "usr/lib/modules/1/modules.builtin": b""}),
        "intel-ucode.cpio": MICROCODE,
        "odd.cpio": other("init"),
    }
    loader = built.image("pkg/bootloader")
    for diff_id in loader.layers:
        store.blobs.put_file(built.store().blobs.path(diff_id))
    images = {
        "kernel": oci.image(store, "kernel", kernel),
        "init": oci.image(store, "init", {"usr/lib/": b"", "lib": "usr/lib"}),
        INITRD: oci.image(store, "initrd", {"init": b"#!/bin/sh\n"}),
        BOOTLOADER: loader,
    }
    assembler = Assembler(store, built.toolbox(), images)

    def initrd(ucode: str) -> bytes:
        box = Box("a", "vm", Spec("kernel", "quiet", init=("init",), kernel_ucode=ucode))
        return store.blobs.read(assembler.content(box).initrd.sha256)

    plain = initrd("")
    assert initrd("intel-ucode.cpio") == MICROCODE + bytes(-len(MICROCODE) % 4) + plain and initrd("") == plain
    with pytest.raises(AssembleError, match="holds 'init'"):
        initrd("odd.cpio")
    with pytest.raises(AssembleError, match="has no /other"):
        initrd("other.cpio")
