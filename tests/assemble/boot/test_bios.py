"""GRUB on the disk of a box with a BIOS: what it starts, how it counts, and what damage makes of that. All real, in
QEMU with SeaBIOS, but for the kernel, which is as small as they get."""

import subprocess
from pathlib import Path

import pytest
from toweros_agent.host.bios import apart, grubenv
from toweros_agent.host.bios.entries import Bios
from toweros_agent.nouns import Entry, Refused

from gitops.assemble.boot import grub
from gitops.assemble.boot.bios import bios_files, grub_config
from gitops.assemble.boot.pe import Section, add_sections
from gitops.assemble.boot.uki import make_uki
from gitops.errors import AssembleError
from tests.kit import built
from tests.kit.bios_disk import BiosDisk, a_uki, an_addon
from tests.kit.pe import a_pe_file
from tests.kit.tiny_kernel import tiny_kernel

COMES_UP, RESETS = b"G", b"B"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> BiosDisk:
    return BiosDisk(tmp_path_factory.mktemp("disk"), COMES_UP)


@pytest.fixture
def disk(made: BiosDisk, tmp_path: Path) -> BiosDisk:
    """Release 7, which comes up."""
    return BiosDisk(tmp_path, COMES_UP, made)


def written(folder: Path, uki: bytes, addon: bytes) -> tuple[Path, Path]:
    (folder / "uki.efi").write_bytes(uki)
    (folder / "addon.efi").write_bytes(addon)
    return folder / "uki.efi", folder / "addon.efi"


@pytest.mark.e2e
def test_a_disk_is_the_same_twice_and_grub_is_before_the_partitions_of_every_box(
    made: BiosDisk, tmp_path: Path
) -> None:
    again = BiosDisk(tmp_path, COMES_UP)
    data = made.path.read_bytes()
    assert again.path.read_bytes() == data
    listed = subprocess.run(["sgdisk", "-p", made.path], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in listed.splitlines() if line.strip()[:1].isdigit()]
    assert [(row[0], row[-2], row[-1]) for row in rows] == [
        ("1", "EF02", "BIOS"), ("2", "EF00", "ESP"), ("3", "8300", "TOWEROS"), ("4", "8300", "STATE")]  # fmt: skip
    assert data[510:512] == b"\x55\xaa" and data[: grub.CODE] == grub.boot_sector(built.media_tools(), 2048)
    with made.esp() as esp:
        assert not (esp.folder.parent / "BOOT").exists() and esp.entries() == [Entry(7)], "there is no systemd-boot"


@pytest.mark.boot
@pytest.mark.e2e
def test_a_release_that_does_not_come_up_is_tried_three_times_and_left_alone(disk: BiosDisk) -> None:
    assert disk.power_on() == ["toweros-7.efi"]
    with disk.esp() as esp:
        disk.stage(esp, 8, RESETS)
    assert disk.power_on() == ["toweros-8+2-1.efi", "toweros-8+1-2.efi", "toweros-8+0-3.efi", "toweros-7.efi"]
    with disk.esp() as esp:
        assert esp.entries() == [Entry(7), Entry(8, 0, 3)]
        disk.stage(esp, 9, COMES_UP)
    assert disk.power_on() == ["toweros-9+2-1.efi"]
    with disk.esp() as esp:
        esp.bless(9)
    assert disk.power_on() == ["toweros-9.efi"]
    with disk.esp() as esp:
        esp.condemn(9)
    assert disk.power_on() == ["toweros-7.efi"]


def garbage(esp: Bios) -> None:
    esp.block.write_bytes(bytes(range(256)) * 4)


def cut(esp: Bios) -> None:
    data = esp.block.read_bytes()
    assert data.startswith(grubenv.HEAD + b"left_8=3\norder=8 7\n")
    esp.block.write_bytes(data[: data.index(b" 7\n")])


def too_short(esp: Bios) -> None:
    esp.block.write_bytes(esp.block.read_bytes()[:700])


def too_long(esp: Bios) -> None:
    esp.block.write_bytes(esp.block.read_bytes() + b"order=8\n" * 100)


def empty(esp: Bios) -> None:
    esp.block.write_bytes(b"")


def gone(esp: Bios) -> None:
    esp.block.unlink()


def of_strangers(esp: Bios) -> None:
    esp.block.write_bytes((grubenv.HEAD + b"order=99 ../../x\nleft_99=2\n").ljust(grubenv.SIZE, b"#"))


def config_gone(esp: Bios) -> None:
    esp.config(8).unlink()


def config_damaged(esp: Bios) -> None:
    esp.config(8).write_bytes(b"linux (uki)1+1\n\xff\xfe if\ninitrd (uki)9999999+1\n")


@pytest.mark.boot
@pytest.mark.e2e
@pytest.mark.parametrize(
    "damage", [garbage, cut, too_short, too_long, empty, gone, of_strangers, config_gone, config_damaged]
)
def test_damage_ends_at_the_last_good_entry(disk: BiosDisk, damage: object) -> None:
    """Where it is cut in the trial of 8, for which nothing but the block speaks."""
    with disk.esp() as esp:
        disk.stage(esp, 8, COMES_UP)
        damage(esp)  # type: ignore[operator]
        known = [entry.sequence for entry in esp.entries()]
    counted = damage in (too_short, too_long)
    assert disk.power_on() == ["toweros-8+2-1.efi" if counted else "toweros-7.efi"], "it is counted, or not started"
    with disk.esp() as esp:
        assert counted <= (8 in known) and (not counted or esp.get(8) == Entry(8, 2, 1)), "the agent reads it alike"
        esp.restore()
        assert {7} <= {entry.sequence for entry in grubenv.read(esp.block)} and len(esp.block.read_bytes()) == 1024


@pytest.mark.boot
@pytest.mark.e2e
def test_without_the_block_and_the_list_of_the_blessed_whatever_is_there_is_started(disk: BiosDisk) -> None:
    with disk.esp() as esp:
        garbage(esp)
        esp.good.write_bytes(b"set good=\xff\n")
    assert disk.power_on() == ["toweros-7.efi"]
    with disk.esp() as esp:
        assert esp.entries() == [Entry(7)]
        assert "damaged" in esp.restore() and grubenv.read(esp.block) == [Entry(7)]
        assert grubenv.read_good(esp.good) == [Entry(7)] and esp.restore() == ""


@pytest.mark.boot
@pytest.mark.e2e
def test_what_cannot_be_counted_is_not_tried(disk: BiosDisk) -> None:
    with disk.esp() as esp:
        disk.stage(esp, 8, RESETS)
    assert disk.power_on(read_only=True) == ["toweros-7.efi"]


def test_controller_and_agent_take_the_same_files_apart_alike(tmp_path: Path) -> None:
    uki, addon = a_uki(COMES_UP), an_addon(7)
    assert apart.grub_config(7, *written(tmp_path, uki, addon)) == grub_config(7, uki, addon)
    files = bios_files(7, uki, addon)
    assert files["grub/grubenv"] == grubenv.encode([Entry(7)])
    assert files["grub/good.cfg"] == grubenv.encode_good([Entry(7)])


@pytest.mark.parametrize("line", ['dyndbg="file x +p"', "a='b'", "back\\slash", "x" * 1400 + " " + "y" * 1400])
def test_what_grub_would_change_on_its_way_is_refused_on_both_sides(tmp_path: Path, line: str) -> None:
    uki = add_sections(
        a_pe_file(), [Section(".cmdline", line.encode() + b"\0"), Section(".initrd", b"i"), Section(".linux", b"k")]
    )
    with pytest.raises(AssembleError, match="cannot hand on"):
        grub_config(7, uki, an_addon(7))
    with pytest.raises(Refused, match="arguments"):
        apart.grub_config(7, *written(tmp_path, uki, an_addon(7)))


def no_program(uki: bytes) -> bytes:
    return b"PK" + uki[2:]


def cut_short(uki: bytes) -> bytes:
    return uki[:-600]


def cut_in_its_head(uki: bytes) -> bytes:
    return uki[:50]


def far_away(uki: bytes) -> bytes:
    return uki[:0x3C] + b"\xff\xff\xff\x7f" + uki[0x40:]


def many_sections(uki: bytes) -> bytes:
    return uki[:70] + b"\xff\xff" + uki[72:]


def two_of_one_name(uki: bytes) -> bytes:
    return uki.replace(b".osrel\0\0", b".linux\0\0", 1)


def no_kernel(uki: bytes) -> bytes:
    return uki.replace(b".linux\0\0", b".mouse\0\0", 1)


def between_sectors(uki: bytes) -> bytes:
    place = uki.index(b".linux\0\0") + 20
    return uki[:place] + (int.from_bytes(uki[place : place + 4], "little") - 8).to_bytes(4, "little") + uki[place + 4 :]


@pytest.mark.parametrize(
    "spoil",
    [no_program, cut_short, cut_in_its_head, far_away, many_sections, two_of_one_name, no_kernel, between_sectors],
)
def test_a_uki_that_is_none_is_refused_in_words(tmp_path: Path, spoil: object) -> None:
    uki = spoil(make_uki(a_pe_file(), tiny_kernel(), b"initrd", "quiet"))  # type: ignore[operator]
    with pytest.raises(Refused, match=r"uki\.efi"):
        apart.grub_config(7, *written(tmp_path, uki, an_addon(7)))
