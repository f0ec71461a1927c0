"""One file, every way in: an ISO starts by BIOS and by UEFI under Secure Boot, from an optical drive and as a disk."""

import hashlib
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.lab.machine import Machine
from gitops.workflows.media.medium import box_medium, role_medium
from tests.e2e.field import BOX, GREETING, LONG, Field
from tests.kit.media import flip, written

pytestmark = [pytest.mark.e2e, pytest.mark.boot]


@pytest.fixture(scope="module")
def medium(field: Field, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The box's medium, with a key; whatever disk it had before is not heard any more."""
    path = tmp_path_factory.mktemp("medium") / f"{BOX}.iso"
    field.store.boxes.revoke(BOX)
    box_medium(field.settings, field.store, BOX, path, key=True)
    yield path
    path.unlink()


def test_a_roles_medium_is_of_no_box_and_the_same_twice(field: Field, tmp_path: Path) -> None:
    made = [role_medium(field.settings, field.store, "vm", tmp_path / name) for name in ("one.iso", "two.iso")]
    assert made[0] == made[1] and (made[0].box, made[0].sequence) == ("new.vm", 0)
    one, two = (hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("one.iso", "two.iso"))
    for name in ("one.iso", "two.iso"):
        (tmp_path / name).unlink()
    assert one == two


def player(field: Field, folder: Path, medium: Path, *, bios: bool, optical: bool = True) -> Machine:
    """A machine, off, that has nothing but a medium."""
    folder.mkdir(exist_ok=True)
    (folder / "disk.raw").symlink_to(medium)
    hardware = field.machine_in(folder).hardware
    variables = None if bios else hardware.variables
    return Machine(folder, replace(hardware, variables=variables, optical=optical))


def test_by_uefi_under_secure_boot_a_box_runs_from_an_optical_disc_and_stays_with_what_is_on_it(
    field: Field, medium: Path, tmp_path: Path
) -> None:
    with player(field, tmp_path, medium, bios=False) as machine:
        report = field.wait_healthy(int(time.time()))
        assert report.firmware and report.firmware["secure_boot"] and not report.degraded
        assert "the release is on the medium /dev/sr0" in machine.output()
        assert "boot not verified" not in machine.output()
        field.change(GREETING, "hello, whoever has a disk\n", "Not for a medium")
        field.wait_until("the box to say so", lambda: "a medium does not change" in field.report().error)
        assert (field.report().boot_id, field.report().release) == (report.boot_id, report.release)


def test_by_bios_it_comes_to_the_same_verified_root_and_says_who_did_not_look(
    field: Field, medium: Path, tmp_path: Path
) -> None:
    with player(field, tmp_path, medium, bios=True) as machine:
        machine.wait_for("initrd: the root is verified", LONG)
        assert "initrd: boot not verified by firmware" in machine.output()


def test_written_to_a_disk_it_has_the_second_partition_for_data_and_a_damaged_layer_never_runs(
    field: Field, medium: Path, tmp_path: Path
) -> None:
    """As the first README had it: `dd`, a second partition, `mkfs.ext4`. By BIOS: nobody else would have noticed."""
    disk = tmp_path / "written.raw"
    data = written(medium, disk)
    published = field.store.offers.published(BOX)
    assert published
    layer = published.release.layers()[1].root
    flip(disk, field.store.layers.path(layer))
    with player(field, tmp_path / "machine", disk, bios=True, optical=False) as machine:
        machine.wait_for(f"the layer {layer} is missing or damaged", LONG)
        machine.wait_for(f"the layer {layer} is repaired", LONG)
        machine.wait_for("the root is verified", LONG)
        machine.wait_for(r"init: onboot \d+-mount: exit 0", LONG)
        assert "the release is on the medium /dev/vda1" in machine.output()
    command = ["debugfs", "-R", "stats", f"{disk}?offset={data}"]
    about = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert re.search(r"^Mount count: +1$", about, re.MULTILINE), about
