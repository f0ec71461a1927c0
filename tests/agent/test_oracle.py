"""The oracle of the power cuts (tests/kit/cuts) chooses as systemd-boot, the firmware and the initrd do."""

import pytest

from tests.kit.cuts.loader import File, Known, View, boot, compare, pick

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
    assert boot(view(*files), "toweros-7.efi", (OLD, NEW), whole) == (runs, boots)


def test_without_a_boot_loader_the_firmwares_second_entry_is_started() -> None:
    files = (entry("toweros-7.efi", "addon7"), entry("toweros-8.efi", "addon8"))
    assert boot(view(*files, loader=False), "toweros-7.efi", (OLD, NEW), BOTH) == (OLD, 1)
