"""What the initrd starts with: arguments that are signed, each of them, or nothing at all."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.kit.initrd import SHELLS, initrd

OWN = "console=ttyS0 panic=10"
ADDON = "toweros.release=00 toweros.sequence=7 toweros.box=demo-1 toweros.server=http://10.0.2.2:8080 toweros.net=dhcp"
WORK = 'refuse() { echo "refused: $1"; exit 0; }; compare_command_line; echo taken'


def said(folder: Path, shell: str, line: str, signed: str | None = OWN) -> str:
    """What becomes of a command line."""
    (folder / "line").write_text(line + "\n")
    if signed is not None:
        (folder / "signed").write_text(signed + "\n")
    return initrd(shell, folder, WORK, CMDLINE=str(folder / "line"), SIGNED_LINE=str(folder / "signed")).strip()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("line", [f"{OWN} {ADDON}", OWN, f"{OWN} toweros.server=http://s/*"])
def test_what_is_signed_is_taken(tmp_path: Path, shell: str, line: str) -> None:
    assert said(tmp_path, shell, line) == "taken"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_uki_without_arguments_has_the_addons_alone(tmp_path: Path, shell: str) -> None:
    assert said(tmp_path, shell, ADDON, signed="") == "taken"
    assert said(tmp_path, shell, f"quiet {ADDON}", signed="") == "refused: quiet"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"{OWN} {ADDON} rdinit=/usr/bin/sh", "rdinit=/usr/bin/sh"),
        (f"{OWN} init=/bin/sh {ADDON}", "init=/bin/sh"),
        (f"{OWN} {ADDON} toweros.release=11", "toweros.release=11"),
        (f"{OWN} {ADDON} toweros.debug=1", "toweros.debug=1"),
        (f"{OWN} {ADDON} -- x", "--"),
        (f"{OWN} {ADDON} *", "*"),
        (f"rdinit=/bin/sh {OWN} {ADDON}", f"rdinit=/bin/sh {OWN} {ADDON} "),
        (f"{OWN}0 {ADDON}", f"{OWN}0 {ADDON} "),
        ("console=ttyS0", "console=ttyS0 "),
        ("", " "),
    ],
)
def test_any_other_word_is_refused_and_named(tmp_path: Path, shell: str, line: str, why: str) -> None:
    assert said(tmp_path, shell, line) == f"refused: {why}".strip()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_uki_of_an_older_controller_says_nothing_to_compare_with(tmp_path: Path, shell: str) -> None:
    assert said(tmp_path, shell, f"quiet {ADDON}", signed=None) == "taken"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_refused_line_is_told_and_lets_another_entry_go_first(tmp_path: Path, shell: str) -> None:
    (tmp_path / "line").write_text(f"{OWN} rdinit=/x\n")
    (tmp_path / "signed").write_text(OWN + "\n")
    names = ("load_modules", "arm_watchdog", "mount_disk", "leave_note", "give_up_entry", "reboot")
    doubles = "".join(f'{name}() {{ echo "{name} $*"; }}; ' for name in names)
    work = (
        doubles + "boot_entry() { echo toweros-7.efi; }; "
        'fail() { leave_note "$*"; give_up_entry; reboot; exit 0; }; compare_command_line'
    )
    done = initrd(shell, tmp_path, work, CMDLINE=str(tmp_path / "line"), SIGNED_LINE=str(tmp_path / "signed"))
    why = "leave_note nobody signed this on the command line: rdinit=/x"
    assert [each.strip() for each in done.splitlines()] == [
        "load_modules", "arm_watchdog", "mount_disk", why, "give_up_entry", "reboot",
    ]  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("signed", "of_the_release", "becomes"),
    [
        (OWN, OWN, "taken"),
        (OWN, "  console=ttyS0\n panic=10 ", "taken"),
        ("", "", "taken"),
        (None, f"{OWN} quiet", "taken"),  # a UKI of an older controller
        (OWN, f"{OWN} quiet", "FAILED: this UKI is not the one of the release: its arguments are others"),
        (OWN, "", "FAILED: this UKI is not the one of the release: its arguments are others"),
        (OWN, "console=ttyS0 panic=*", "FAILED: this UKI is not the one of the release: its arguments are others"),
    ],
)
def test_the_uki_of_another_release_is_not_started(
    tmp_path: Path, shell: str, signed: str | None, of_the_release: str, becomes: str
) -> None:
    """Both are signed, but nothing else says that they belong together."""
    document = json.dumps({"content": {"cmdline": of_the_release}}).encode()
    digest = hashlib.sha256(document).hexdigest()
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases" / f"{digest}.json").write_bytes(document)
    if signed is not None:
        (tmp_path / "signed").write_text(signed + "\n")
    work = 'fail() { echo "FAILED: $*"; exit 0; }; read_release; echo taken'
    values = {"DISK": str(tmp_path), "RELEASE": digest, "BOX": "demo-1", "SIGNED_LINE": str(tmp_path / "signed")}
    (tmp_path / "handover").mkdir()
    assert initrd(shell, tmp_path / "handover", work, **values).strip() == becomes
