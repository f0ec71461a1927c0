"""A real box whose firmware is a BIOS: it boots, takes a release, keeps it, and undoes one that is bad.

One machine tells the whole story, in the order of the tests. How GRUB counts is told without a system by
`tests/assemble/boot/test_bios.py`.
"""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from toweros_agent.host.bios import grubenv
from toweros_agent.nouns import Entry

from gitops.lab.hardware import Hardware
from gitops.lab.machine import Machine
from gitops.model import Phase, Verdict
from gitops.workflows.provision import provision
from tests.e2e.field import BOX, GREETING, SIZES, Field

pytestmark = [pytest.mark.e2e, pytest.mark.boot]


@pytest.fixture(scope="module")
def machine(field: Field, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("bios")
    field.store.boxes.revoke(BOX)
    provision(field.settings, field.store, BOX, folder / "disk.raw", replace(SIZES, bios=1))
    with Machine(folder, Hardware(folder / "disk.raw", None, field.machine().hardware.ports, attachable=True)) as made:
        yield made


def block(field: Field) -> list[Entry]:
    """What GRUB would read now."""
    return grubenv.parse(field.ssh("cat /run/toweros/esp/grub/grubenv").encode())


def test_a_box_with_a_bios_boots_and_is_healthy_and_says_that_nobody_checked_its_boot(
    field: Field, machine: Machine
) -> None:
    report = field.wait_healthy(field.state().enrolled)
    assert report.entry == f"toweros-{report.sequence}.efi" and report.degraded == ()
    assert report.firmware is None and "no" in field.ssh("test -d /sys/firmware/efi || echo no")
    assert block(field) == [Entry(report.sequence)]


def test_it_takes_a_release_counts_it_as_a_trial_and_keeps_it(field: Field, machine: Machine) -> None:
    before, since = field.report(), int(time.time())
    assert field.change(GREETING, f"hello, {time.time()}\n", "One line, for a BIOS").published == (BOX,)
    report = field.wait_healthy(since)
    assert report.sequence > before.sequence and report.rollback == before.sequence
    assert f"toweros.entry=toweros-{report.sequence}+2-1.efi" in field.ssh("cat /proc/cmdline")
    assert block(field) == [Entry(report.sequence), Entry(before.sequence)], "both are blessed"
    assert f"GRUB: toweros-{report.sequence}+2-1.efi" in machine.output()


def test_a_bad_release_is_undone_by_the_box_alone(field: Field, machine: Machine) -> None:
    before = field.report()
    field.change(GREETING, f"goodbye, {time.time()}\n", "A bad line, for a BIOS")
    wanted = field.state().published.release

    def failed() -> bool:
        found = [each for each in field.report().failures if each.release == wanted]
        return bool(found and found[0].verdict == Verdict.FAILED and field.report().phase == Phase.IDLE)

    field.wait_until("the box to go back", failed)
    report = field.report()
    assert report.release == before.release and report.boot_id != before.boot_id
    assert all(entry.plain or entry.bad for entry in block(field))
    field.change(GREETING, f"hello again, {time.time()}\n", "A good line")
