"""One file, every way in: an ISO starts by BIOS and by UEFI under Secure Boot, from an optical drive and as a disk."""

import contextlib
import hashlib
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gitops.cli.main import application
from gitops.lab.hardware import Board
from gitops.lab.machine import Machine
from gitops.model import Health, Phase, Report, Sync
from gitops.model.machines import newcomer
from gitops.model.machines.newcomer import SEQUENCE
from gitops.rollout.status import box_status
from gitops.workflows.enrolment import newcomers
from gitops.workflows.media.medium import box_medium, role_medium
from tests.e2e.field import BOX, GREETING, LONG, Field
from tests.kit.media import flip, new_stick, plugged_in, written

NAME = f"site-{int(time.time())}"
"""Another one in each run: that of a run before lives, in a store that is kept."""
BOARD = Board("nvme,serial=1")

pytestmark = [pytest.mark.e2e, pytest.mark.boot]


@pytest.fixture(scope="module")
def medium(field: Field, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The box's medium, with a key; whatever disk it had before is not heard any more."""
    path = tmp_path_factory.mktemp("medium") / f"{BOX}.iso"
    field.store.boxes.revoke(BOX)
    box_medium(field.settings, field.store, BOX, path, key=True)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def roles_medium(field: Field, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """For any machine of the role."""
    path = tmp_path_factory.mktemp("role") / "vm.iso"
    made = role_medium(field.settings, field.store, "vm", path)
    assert (made.box, made.sequence) == ("new.vm", SEQUENCE)
    yield path
    path.unlink()


def test_a_roles_medium_is_the_same_twice(field: Field, roles_medium: Path, tmp_path: Path) -> None:
    two = tmp_path / "two.iso"
    role_medium(field.settings, field.store, "vm", two)
    same = [hashlib.sha256(each.read_bytes()).hexdigest() for each in (roles_medium, two)]
    two.unlink()
    assert same[0] == same[1]


def player(
    field: Field, folder: Path, medium: Path, *, bios: bool, optical: bool = True, more: Sequence[str] = ()
) -> Machine:
    """A machine, off, that has nothing but a medium; as a disk it is an NVMe one."""
    folder.mkdir(exist_ok=True)
    (folder / "disk.raw").symlink_to(medium)
    hardware = field.machine_in(folder).hardware
    variables = None if bios else hardware.variables
    return Machine(folder, replace(hardware, variables=variables, optical=optical, board=BOARD, more=more))


def test_by_uefi_under_secure_boot_a_roles_disc_runs_is_adopted_and_stays_with_what_is_on_it(
    field: Field, roles_medium: Path, tmp_path: Path
) -> None:
    """The code is read off the console; the name outlives the power by the key stick, and nothing newer is taken."""
    stick = new_stick(tmp_path / "stick")
    with player(field, tmp_path, roles_medium, bios=False, more=plugged_in(stick)) as machine:
        code = machine.wait_for(r"its code is ([0-9a-f]{4}(-[0-9a-f]{4}){4})", LONG)[1]
        assert "the release is on the medium /dev/sr0" in machine.output()
        assert "boot not verified" not in machine.output()
        field.change(GREETING, f"hello, whoever has a disk at {time.time():.0f}\n", "Not for a medium")
        with adopted(field, code):
            field.wait_until("the box to say so", lambda: "a medium does not change" in said(field).error)
            report = said(field)
            assert report.firmware and report.firmware["secure_boot"] and report.kept == "" and not report.degraded
            assert (report.health, report.sequence, report.place) == (Health.HEALTHY, SEQUENCE, "medium")
            row = box_status(field.store, NAME, int(time.time()))
            assert row and row.sync == Sync.OUT_OF_SYNC and "from a medium" in row.boot
            asked = len(machine.output())
            machine.reset()
            field.wait_until("the next start", lambda: said(field).boot_id != report.boot_id)
            assert "its code is" not in machine.output()[asked:], "it knows its name"


def said(field: Field) -> Report:
    report = field.store.boxes.report(NAME)
    return report or Report(NAME, "", 0, 0, "", 0, "", "", Phase.IDLE, Health.UNKNOWN)


@contextlib.contextmanager
def adopted(field: Field, code: str) -> Iterator[None]:
    """The machine with this code is a box of the fleet, for a while."""
    field.wait_until("it to ask", lambda: code in map(newcomer.code, newcomers.living(field.store, int(time.time()))))
    words = ["box", "adopt", code, "--name", NAME, "--role", "vm", "-C", str(field.fleet)]
    done = CliRunner().invoke(application(), [*words, "--state", str(field.settings.state)])
    assert done.exit_code == 0, done.output
    field.apply()
    try:
        yield
    finally:
        (field.fleet / f"boxes/{NAME}.yaml").unlink()
        field.commit("No such box")
        field.apply()


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
        assert "the release is on the medium /dev/nvme0n1p1" in machine.output()
    command = ["debugfs", "-R", "stats", f"{disk}?offset={data}"]
    about = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert re.search(r"^Mount count: +1$", about, re.MULTILINE), about
