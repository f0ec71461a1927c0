"""docs/hardware.md names every driver of the initrd, and no other."""

import re
from pathlib import Path

from tests.kit.machines import CARDS, DISKS, LATER, WATCHDOGS

CHECKOUT = Path(__file__).parents[2]
NO_DRIVERS = "# File systems"
"""What stands between this line and the watchdogs hangs on no bus."""


def test_the_table_of_drivers_is_the_list_of_the_initrd() -> None:
    text = (CHECKOUT / "pkg/initrd/modules").read_text()
    drivers, _, rest = text.partition(NO_DRIVERS)
    watchdogs = rest.partition("# Watchdogs")[2]
    names = {line.lstrip("?") for line in (drivers + watchdogs).splitlines() if re.fullmatch(r"\??[\w-]+", line)}
    page = (CHECKOUT / "docs/hardware.md").read_text()
    table = page.partition("| bus |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([\w-]+)`", table)) == names


def test_the_table_of_later_drivers_is_what_the_kernel_is_asked_for() -> None:
    table = (CHECKOUT / "docs/hardware.md").read_text().partition("| for | drivers |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([\w-]+)`", table)) == {driver for _, driver in LATER.values()}


def test_the_initrd_has_what_a_machine_needs_before_its_root() -> None:
    names = {line.lstrip("?") for line in (CHECKOUT / "pkg/initrd/modules").read_text().splitlines()}
    assert {driver for _, driver in (DISKS | CARDS | WATCHDOGS).values()} <= names


def test_the_names_of_microcode_are_those_that_the_kernel_package_makes() -> None:
    made = set(re.findall(r"/([a-z]*-?ucode\.cpio)", (CHECKOUT / "pkg/kernel-full/make-kernel").read_text()))
    assert made == set(re.findall(r"[a-z]*-?ucode\.cpio", (CHECKOUT / "docs/hardware.md").read_text()))
