"""A medium, read back by other programs than made it; and what happens when it cannot be made."""

import hashlib
import multiprocessing
import shutil
import stat
import struct
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.assemble.boot.bios import bios_files, bios_loader
from gitops.assemble.boot.pe import Section, add_sections
from gitops.assemble.formats.iso import command_line, iso_image
from gitops.assemble.formats.staging import Contents
from gitops.errors import AssembleError, ProcessError
from gitops.model import BLOCK, BlobRef, Content, HealthSpec, Layer, Release
from gitops.store import Store
from gitops.store.files.verity import root_hash
from tests.kit import built
from tests.kit.media import table
from tests.kit.pe import a_pe_file

pytestmark = pytest.mark.e2e
LINE, WORDS = b"console=ttyS0 panic=10\0", b"toweros.release=00 toweros.place=medium\0"
FAT_TYPE, ISO_TYPE = 0xEF, 0xCD
LAST = b"the last one"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def some_contents(store: Store, line: bytes = LINE) -> Contents:
    layers = []
    for seed, blocks in ((1, 1), (2, 130), (3, 900)):
        file = store.paths.root / "layer"
        file.write_bytes(hashlib.shake_128(bytes([seed])).digest(blocks * BLOCK))
        layers.append(Layer(root_hash(file), blocks * BLOCK))
        store.layers.add(file, layers[-1].root)
    ref = BlobRef("0" * 64, 1)
    release = Release("demo-1", 7, Content(ref, ref, "", tuple(layers), (), HealthSpec()))
    parts = [Section(".cmdline", line), Section(".initrd", b"initrd" * 999), Section(".linux", b"kernel" * 999)]
    uki, addon = add_sections(a_pe_file(), parts), add_sections(a_pe_file(), [Section(".cmdline", WORDS)])
    return Contents(release, uki, addon, b"loader", b"", {"db.crt": b"crt"})


def unpacked(image: Path, folder: Path, first: int = 0) -> Path:
    """The ISO 9660 that begins at sector `first` of an image."""
    cut(image, folder.with_suffix(".iso"), first)
    with built.media_tools().workspace() as work:
        work.take(folder.with_suffix(".iso"), "part.iso")
        work.run(["xorriso", "-osirrox", "on", "-indev", "part.iso", "-extract", "/", "tree"])
        shutil.copytree(work.path("tree"), folder)
    return folder


def on_esp(image: Path, path: str) -> bytes:
    with built.media_tools().workspace() as work:
        work.take(image, "esp.img")
        return work.run(["mtype", "-i", "esp.img", f"::/{path}"])


def cut(image: Path, part: Path, first: int, sectors: int = -1) -> None:
    with image.open("rb") as stream:
        stream.seek(first * 512)
        part.write_bytes(stream.read(sectors * 512 if sectors > 0 else -1))


def test_the_kernel_finds_the_release_and_the_boot_files_that_the_uki_was_made_of(tmp_path: Path, store: Store) -> None:
    out, contents = tmp_path / "box.iso", some_contents(store)
    iso_image(out, built.media_tools(), store, contents)
    release = contents.release
    root = unpacked(out, tmp_path / "iso")
    assert (root / "toweros/releases" / f"{release.digest}.json").read_bytes() == release.encode()
    assert (root / "boot/vmlinuz").read_bytes() == b"kernel" * 999
    assert (root / "boot/initrd").read_bytes() == b"initrd" * 999
    for layer in release.layers():
        kept = (root / "toweros/layers" / layer.root).read_bytes()
        (tmp_path / "data").write_bytes(kept[: layer.size])
        assert root_hash(tmp_path / "data") == layer.root
        assert (len(kept) == layer.size) == (layer.size == BLOCK), "with its tree"
    assert not (root / "toweros/identity").exists(), "nothing of a box that anybody may copy"
    assert stat.S_IMODE(out.stat().st_mode) == 0o644


def test_as_a_disk_it_has_the_iso_first_the_esp_third_and_leaves_the_second_partition_free(
    tmp_path: Path, store: Store
) -> None:
    out, contents = tmp_path / "box.iso", some_contents(store)
    iso_image(out, built.media_tools(), store, contents)
    rows = table(out)
    assert set(rows) == {1, 3} and rows[1][1] == ISO_TYPE and rows[3][1] == FAT_TYPE
    (_, _, first, sectors), (_, _, esp, size) = rows[1], rows[3]
    assert first > 0 and first + sectors <= esp and (esp + size) * 512 <= out.stat().st_size
    assert (unpacked(out, tmp_path / "first", first) / "toweros/releases").is_dir(), "an ISO of its own"
    cut(out, tmp_path / "esp.img", esp, size)
    assert on_esp(tmp_path / "esp.img", "EFI/BOOT/BOOTX64.EFI") == b"loader"
    assert on_esp(tmp_path / "esp.img", "EFI/Linux/toweros-7.efi") == contents.uki
    assert on_esp(tmp_path / "esp.img", "EFI/Linux/toweros-7.efi.extra.d/release.addon.efi") == contents.addon
    with pytest.raises(ProcessError):
        on_esp(tmp_path / "esp.img", "EFI/toweros/box.key")


def test_a_drive_offers_one_image_to_a_bios_and_the_esp_to_uefi(tmp_path: Path, store: Store) -> None:
    out, toolbox = tmp_path / "box.iso", built.media_tools()
    iso_image(out, toolbox, store, some_contents(store))
    with toolbox.workspace() as work:
        work.take(out, "box.iso")
        command = ["xorriso", "-indev", "box.iso", "-report_el_torito", "plain", "-report_system_area", "plain"]
        said = work.run(command).decode()
    rows = [line.split() for line in said.splitlines() if line.startswith("El Torito boot img")]
    assert [row[6] for row in rows] == ["BIOS", "UEFI"]
    assert int(rows[1][-1]) * 4 == table(out)[3][2], "the same bytes as partition 3"
    assert "grub2-mbr" in said and "/boot/grub.img" in said


def test_the_same_input_gives_the_same_medium(tmp_path: Path, store: Store) -> None:
    digests = set()
    for name in ("one.iso", "two.iso"):
        iso_image(tmp_path / name, built.media_tools(), store, some_contents(store))
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
        time.sleep(1.1)  # file systems count seconds
    assert len(digests) == 1


def test_with_a_key_nobody_else_may_read_it(tmp_path: Path, store: Store) -> None:
    out = tmp_path / "box.iso"
    iso_image(out, built.media_tools(), store, replace(some_contents(store), box_key=b"KEY"))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    key = unpacked(out, tmp_path / "iso") / "toweros/identity/box.key"
    assert key.read_bytes() == b"KEY" and stat.S_IMODE(key.stat().st_mode) & 0o077 == 0


@pytest.mark.parametrize("line", [b'console=ttyS0 name="a b"\0', b"quiet it's\0", rb"a\b"])
def test_arguments_that_a_bios_would_change_are_refused_before_anything_is_made(
    tmp_path: Path, store: Store, line: bytes
) -> None:
    with pytest.raises(AssembleError, match="GRUB cannot pass"):
        iso_image(tmp_path / "out" / "box.iso", built.media_tools(), store, some_contents(store, line))
    assert not (tmp_path / "out").exists()


def test_a_kernel_gets_by_bios_what_the_stub_would_give_it(store: Store) -> None:
    assert command_line(some_contents(store)) == "console=ttyS0 panic=10 toweros.release=00 toweros.place=medium"
    with pytest.raises(AssembleError, match="cut short"):
        command_line(replace(some_contents(store), addon=b"addon"))
    with pytest.raises(AssembleError, match=r"no \.cmdline"):
        command_line(replace(some_contents(store), addon=a_pe_file()))


def test_a_damaged_or_missing_layer_makes_no_medium(tmp_path: Path, store: Store) -> None:
    contents = some_contents(store)
    layer = contents.release.layers()[1]
    store.layers.path(layer.root).write_bytes(bytes(layer.size))
    with pytest.raises(AssembleError, match="damaged"):
        iso_image(tmp_path / "out" / "box.iso", built.media_tools(), store, contents)
    store.layers.remove(layer.root)
    with pytest.raises(AssembleError, match="missing"):
        iso_image(tmp_path / "out" / "box.iso", built.media_tools(), store, contents)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "small", folder], check=True)
    try:
        with pytest.raises(AssembleError, match=r"\d+ MiB are needed below .*small, and \d+ are free") as caught:
            iso_image(folder / "box.iso", built.media_tools(), store, some_contents(store))
        assert "--out" in caught.value.hint
        assert list(folder.iterdir()) == []
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("moment", [".iso-*", ".iso-*/*"], ids=["while it is laid out", "while it is moved"])
def test_killed_midway_nothing_has_the_name_and_what_was_there_before_stays(
    tmp_path: Path, store: Store, moment: str
) -> None:
    out, toolbox, contents = tmp_path / "out" / "box.iso", built.media_tools(), some_contents(store)
    out.parent.mkdir()
    out.write_bytes(LAST)
    child = multiprocessing.get_context("fork").Process(target=iso_image, args=(out, toolbox, store, contents))
    child.start()
    while child.is_alive() and not list(out.parent.glob(moment)) and out.read_bytes() == LAST:
        time.sleep(0.001)
    child.kill()
    child.join()
    assert out.read_bytes() == LAST or table(out)[3][1] == FAT_TYPE, "the last one, or the whole new one"
    iso_image(out, toolbox, store, contents)
    assert table(out)[3][1] == FAT_TYPE


def test_an_installer_has_the_boot_files_of_a_disk_beside_its_own(tmp_path: Path, store: Store) -> None:
    """For UEFI, and what GRUB needs on a disk: byte for byte what the controller's own disk for a BIOS has."""
    words = add_sections(a_pe_file(), [Section(".cmdline", b"toweros.release=00\0")])
    out, contents = tmp_path / "box.iso", replace(some_contents(store), disk_addon=words, box_key=b"KEY")
    iso_image(out, built.media_tools(), store, contents)
    medium = unpacked(out, tmp_path / "iso") / "toweros"
    boot, bios = medium / "boot", medium / "bios"
    assert (boot / "EFI/Linux/toweros-7.efi").read_bytes() == contents.uki
    assert (boot / "EFI/Linux/toweros-7.efi.extra.d/release.addon.efi").read_bytes() == words
    assert (boot / "EFI/BOOT/BOOTX64.EFI").read_bytes() == b"loader"
    assert not (boot / "EFI/toweros").exists(), "the key is where the box keeps it, once"
    assert not list(boot.rglob("grub*"))
    loader = bios_loader(built.media_tools(), 40)
    for name, place, expected in (("boot.img", 92, loader.sector), ("core.img", 500, loader.core)):
        image = (bios / name).read_bytes()
        start = 40 if name == "boot.img" else 41
        assert image[:place] + struct.pack("<Q", start) + image[place + 8 :] == expected
    files = bios_files(7, contents.uki, words)
    assert {path: (bios / "esp" / path).read_bytes() for path in files} == files
