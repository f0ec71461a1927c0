"""What the initrd does where GRUB started it: the line that GRUB gives, and an entry that steps back."""

import shutil
from pathlib import Path

import pytest
from toweros_agent.host.bios import grubenv
from toweros_agent.nouns import Entry

from tests.kit.initrd import SHELLS, initrd

OWN = "console=ttyS0 panic=10"
ADDON = "toweros.release=00 toweros.sequence=7 toweros.box=demo-1 toweros.server=http://10.0.2.2:8080 toweros.net=dhcp"
IMAGE, ENTRY = "BOOT_IMAGE=(uki)6+3000", "toweros.entry=toweros-7+2-1.efi"
WORK = 'refuse() { echo "refused: $1"; exit 0; }; compare_command_line; echo taken; boot_entry'

pytestmark = pytest.mark.parametrize("shell", SHELLS)


def said(folder: Path, shell: str, line: str, *, uefi: bool = False) -> list[str]:
    """What becomes of a command line, and the entry that it names."""
    (folder / "line").write_text(line + "\n")
    (folder / "signed").write_text(OWN + "\n")
    files = {"CMDLINE": str(folder / "line"), "SIGNED_LINE": str(folder / "signed"), "EFIVARS": str(folder)}
    return initrd(shell, folder, WORK + " || true", **files, EFI=str(folder if uefi else folder / "no")).splitlines()


def test_grub_adds_its_first_word_and_the_name_of_the_entry_and_no_more(tmp_path: Path, shell: str) -> None:
    assert said(tmp_path, shell, f"{IMAGE} {OWN} {ADDON} {ENTRY}") == ["taken", "toweros-7+2-1.efi"]
    assert said(tmp_path, shell, f"{IMAGE} {OWN} {ADDON} toweros.entry=toweros-7.efi") == ["taken", "toweros-7.efi"]
    assert said(tmp_path, shell, f"{OWN} {ADDON}") == ["taken"], "of another loader, which counts nothing"


@pytest.mark.parametrize(
    "line",
    [
        f"{IMAGE} {OWN} {ADDON} {ENTRY} rdinit=/bin/sh",
        f"{IMAGE} {OWN} rdinit=/bin/sh {ADDON} {ENTRY}",
        f"rdinit=/bin/sh {IMAGE} {OWN} {ADDON} {ENTRY}",
        f"{IMAGE} {IMAGE} {OWN} {ADDON} {ENTRY}",
        f"{IMAGE} {OWN} {ENTRY} {ADDON}",
        f"{IMAGE} {OWN} {ADDON} {ENTRY} {ENTRY}",
        f"{IMAGE} {OWN} {ADDON} toweros.entry=../../x",
        f"{IMAGE} {OWN} {ADDON} toweros.entry=toweros-7-1.efi",
        f"{IMAGE} {OWN} {ADDON} toweros.entry=toweros-7+*.efi",
        f"{IMAGE} {OWN} {ADDON} toweros.entry=toweros-.efi",
        f"{IMAGE} {OWN} {ADDON} toweros-7.efi",
        f"{IMAGE} quiet {ADDON} {ENTRY}",
    ],
)
def test_another_word_is_refused_with_a_bios_too(tmp_path: Path, shell: str, line: str) -> None:
    assert said(tmp_path, shell, line)[0].startswith("refused: ")


def test_with_uefi_grubs_words_are_words_that_nobody_signed(tmp_path: Path, shell: str) -> None:
    """The stub's variable names the entry there: a word could blame another one."""
    assert said(tmp_path, shell, f"{OWN} {ADDON} {ENTRY}", uefi=True) == [f"refused: {ENTRY}"]
    assert said(tmp_path, shell, f"{IMAGE} {OWN} {ADDON}", uefi=True)[0].startswith("refused: ")


def stepped_back(folder: Path, shell: str, block: bytes, entry: str, *there: int) -> bytes:
    """The block, once an entry gave up on a machine whose ESP has the UKIs of `there`."""
    linux = folder / "esp" / "EFI" / "Linux"
    linux.mkdir(parents=True)
    for number in there:
        (linux / f"toweros-{number}.efi").touch()
    (folder / "esp" / "grub").mkdir()
    (folder / "esp" / "grub" / "grubenv").write_bytes(block)
    doubles = "say() { :; }; partition() { echo esp; }; mount() { :; }; umount() { echo umount; }; "
    work = f"{doubles} ENTRY={entry}; give_up_entry || true"
    assert initrd(shell, folder, work, EFI=str(folder / "no")).split() == ["umount"] or "+" in entry
    assert sorted(path.name for path in linux.iterdir()) == [f"toweros-{number}.efi" for number in sorted(there)]
    after = (folder / "esp" / "grub" / "grubenv").read_bytes()
    shutil.rmtree(folder / "esp")
    return after


def test_a_blessed_entry_that_cannot_start_gets_no_tries_where_there_is_another(tmp_path: Path, shell: str) -> None:
    block = grubenv.encode([Entry(7), Entry(8), Entry(9, 0, 3)])
    assert grubenv.parse(stepped_back(tmp_path, shell, block, "toweros-8.efi", 7, 8, 9)) == [
        Entry(9, 0, 3), Entry(8, 0, 3), Entry(7)]  # fmt: skip
    assert stepped_back(tmp_path, shell, block, "toweros-8.efi", 8, 9) == block, "7 is not there, 9 is bad"
    assert stepped_back(tmp_path, shell, block, "toweros-9+2-1.efi", 7, 8, 9) == block, "GRUB has counted it"
    assert stepped_back(tmp_path, shell, grubenv.encode([Entry(8)]), "toweros-8.efi", 8) == grubenv.encode([Entry(8)])


@pytest.mark.parametrize("block", [b"", b"\xff\n" * 600, grubenv.encode([Entry(8)])[:100].replace(b"order", b"ardor")])
def test_a_damaged_block_is_left_to_the_agent(tmp_path: Path, shell: str, block: bytes) -> None:
    assert stepped_back(tmp_path, shell, block, "toweros-8.efi", 7, 8) == block
