"""The oracle of the power cuts (tests/kit/cuts) chooses as systemd-boot, the firmware and the initrd do."""

import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.kit.cuts.loader import File, Known, View, boot, compare, pick, survives
from tests.kit.cuts.partitions import Esp
from tests.kit.cuts.region import Region

OLD, NEW = Known(7, "doc7", "kernel", "addon7"), Known(8, "doc8", "kernel", "addon8")
BOTH = frozenset({"doc7", "doc8"})


def entry(name: str, addon: str, uki: str = "kernel") -> File:
    return File(name, uki, (addon,) if addon else ())


def view(*files: File, conf: str = "", loader: bool = True) -> View:
    return View(files, conf, loader)


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ("toweros-10.efi", "toweros-9+3.efi"),
        ("toweros-9+3.efi", "toweros-8.efi"),
        ("toweros-7.efi", "towero~1.efi"),
        ("1.0", "1.0~rc1"),
        ("1.0^1", "1.0"),
        ("11", "9a"),
    ],
)
def test_names_are_ordered_as_versions(newer: str, older: str) -> None:
    assert compare(newer, older) > 0 > compare(older, newer) and compare(newer, newer) == 0


def test_an_entry_without_tries_comes_after_all_others_and_a_pin_before() -> None:
    bad, good = entry("toweros-8+0-3.efi", "addon8"), entry("toweros-7.efi", "addon7")
    assert pick(view(bad, good)) == good and pick(view(bad)) == bad
    assert pick(view(bad, good, conf="default toweros-8*\n")) == bad


@pytest.mark.parametrize(
    ("files", "whole", "runs", "boots"),
    [
        ((entry("toweros-7.efi", "addon7"), entry("toweros-8+3.efi", "addon8")), BOTH, NEW, 1),
        ((entry("toweros-7.efi", "addon7"), entry("toweros-8+3.efi", "addon8")), {"doc7"}, OLD, 4),
        ((entry("toweros-7.efi", "addon7"), entry("toweros-8+3.efi", "")), BOTH, OLD, 4),
        ((entry("toweros-7.efi", "addon7"), entry("toweros-8.efi", "addon8", "half")), BOTH, OLD, 1),
        ((entry("toweros-7.efi", "addon7"), entry("toweros-8.efi", "addon8")), {"doc7"}, OLD, 2),
        ((entry("toweros-8.efi", "addon8"),), {"doc7"}, None, 1),
        ((entry("toweros-8.efi", "addon8", "half"),), BOTH, None, 1),
        ((), BOTH, None, 1),
    ],
    ids=["new", "not-whole", "no-addon", "half", "blessed-not-whole", "alone-not-whole", "alone-half", "none"],
)
def test_what_runs_in_the_end(files: tuple[File, ...], whole: set[str], runs: Known | None, boots: int) -> None:
    assert boot(view(*files), "toweros-7.efi", (OLD, NEW), whole)[:2] == (runs, boots)


def test_without_a_boot_loader_the_firmwares_second_entry_is_started() -> None:
    files = (entry("toweros-7.efi", "addon7"), entry("toweros-8.efi", "addon8"))
    assert boot(view(*files, loader=False), "toweros-7.efi", (OLD, NEW), BOTH)[:2] == (OLD, 1)


# --- the entry that was started, after the check of the file system that follows ---


def an_esp(folder: Path, *names: str) -> Path:
    """A real one: systemd-boot, release 7, and of release 8 an entry and what was gathered for it, in this order."""
    image = folder / "esp"
    with image.open("wb") as file:
        file.truncate(40 << 20)
    subprocess.run(["mkfs.vfat", "-F", "32", "-s", "1", image], check=True, capture_output=True)
    for each in ("EFI", "EFI/BOOT", "EFI/Linux", "EFI/Linux/toweros-7.efi.extra.d", "EFI/Linux/toweros-8.efi.extra.d"):
        subprocess.run(["mmd", "-i", image, f"::{each}"], check=True)
    addons = {f"EFI/Linux/toweros-{n}.efi.extra.d/release.addon.efi": b"addon %d" % n for n in (7, 8)}
    files = {f"EFI/BOOT/{name}": b"" for name in names if name == "TRIALX64.EFI"}
    files |= {"EFI/BOOT/BOOTX64.EFI": b"systemd-boot", "EFI/Linux/toweros-7.efi": b"kernel 7" * 99, **addons}
    eight = {"toweros-8+3.efi": b"kernel 8" * 200, "toweros-8.efi.new": b""}
    files |= {f"EFI/Linux/{name}": eight[name] for name in names if name in eight}
    for path, data in files.items():
        subprocess.run(["mcopy", "-i", image, "-", f"::{path}"], input=data, check=True)
    return image


def both_records_name_the_content(where: Esp, folder: str, size_of_full: int) -> None:
    """As an exchange of two names leaves them between its two syncs (ADR 32): of a full file and an empty one."""
    (start, size) = next(iter(where.fat._runs(where.fat.tree()[folder].first)))
    records = [start + at for at in range(0, size, 32) if where.region.data[start + at + 11] == 0x20]
    lengths = {struct.unpack_from("<I", where.region.data, at + 28)[0]: at for at in records}
    full, empty = lengths[size_of_full], lengths[0]
    for begin, end in ((20, 22), (26, 32)):  # its first cluster and its size
        where.region.data[empty + begin : empty + end] = where.region.data[full + begin : full + end]


@pytest.mark.parametrize("first", ["toweros-8+3.efi", "toweros-8.efi.new"])
def test_the_started_entry_survives_the_check_that_empties_one_of_two_records(tmp_path: Path, first: str) -> None:
    names = {"toweros-8+3.efi", "toweros-8.efi.new"}
    image = an_esp(tmp_path, first, *(names - {first}))
    both_records_name_the_content(Esp(Region(image)), "EFI/Linux", len(b"kernel 8" * 200))
    esp = Esp(Region(image))
    now, checked = esp.view(), esp.repaired()
    files = {each.name: each for each in now.files}
    known = [
        Known(number, f"doc{number}", files[name].uki, files[name].addons[0])
        for number, name in ((7, "toweros-7.efi"), (8, "toweros-8+3.efi"))
    ]
    end = boot(now, "toweros-7.efi", known, BOTH)
    assert end.release == known[1] and end.file and end.file.name == "toweros-8+2-1.efi"
    assert esp.repairs == 1 and survives(end.file, checked)
    emptied = not any(each.name == "toweros-8+3.efi" for each in checked.files)
    assert emptied == (first != "toweros-8+3.efi"), "fsck.vfat empties the later one"
    before = survives(end.file, replace(checked, beside=()))
    assert before != emptied, "an agent that did not look beside the entries lost the trial that ran"


def test_a_boot_loader_that_the_check_empties_leaves_the_way_back(tmp_path: Path) -> None:
    """Its replacement (pkg/agent, firmware/boot_loader.py) goes through the same exchange."""
    image = an_esp(tmp_path, "TRIALX64.EFI", "toweros-8+3.efi")
    esp = Esp(Region(image))
    both_records_name_the_content(esp, "EFI/BOOT", len(b"systemd-boot"))
    esp = Esp(Region(image))
    now, checked = esp.view(), esp.repaired()
    files = {each.name: each for each in now.files}
    known = [Known(7, "doc7", files["toweros-7.efi"].uki, files["toweros-7.efi"].addons[0])]
    assert now.loader and esp.repairs == 1
    assert not checked.loader, "the record that came later lost its content"
    assert boot(checked, "toweros-7.efi", known, BOTH)[:2] == (known[0], 1)
    assert replace(checked, loader=True) != checked and Esp(Region(image), ["0" * 64]).view().loader


def test_an_entry_that_is_gone_or_another_has_not_survived() -> None:
    started = entry("toweros-8+2-1.efi", "addon8")
    seven, beside = entry("toweros-7.efi", "addon7"), entry("toweros-8.efi.new", "")
    assert not survives(started, view(seven))
    assert not survives(started, view(seven, entry("toweros-8+3.efi", "", "half")))
    assert survives(started, view(seven, entry("toweros-8.efi", "")))
    assert survives(started, replace(view(seven), beside=(beside,)))
    assert not survives(started, replace(view(seven), beside=(replace(beside, uki=""),)))
    assert not survives(started, replace(view(seven), beside=(replace(beside, name="toweros-9.efi.new"),)))
