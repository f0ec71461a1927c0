"""A box that never had a line, and a stick: plugged into the running machine, it updates the box to Healthy.

In: nothing. Out: what the console said, with seconds; exit code 1 when it did not come about. The machine has an
ordinary board with USB (kernel-full), and no update server is up. The stick (FAT32 in a partition, as from the shop)
has the bundle of a release with a change; it is plugged in by QEMU's monitor, pulled out when the console says so,
and its report is taken by the controller, who did not hear of the box before. Then once more, without a change and as
an ISO that was written to the stick. Needs root.

    python bench/carried/stick.py                       # `make soak`
"""

import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))
sys.path.insert(1, str(Path(__file__).parent.parent.parent / "pkg" / "agent"))

from gitops.lab.hardware import PLAIN
from gitops.lab.machine import Machine
from gitops.model import Health
from gitops.noc import bundles
from gitops.noc.carried import iso
from gitops.noc.carried.returned import returned
from gitops.noc.origin import Folder
from tests.e2e.field import BOX, GREETING, SIZES, Field
from tests.kit import built
from tests.kit.sticks import stick

ROLE = """boot: [boot/oc-minimal.yml, boot/box.yml, boot/hello.yml]
health:
  checks:
    - {name: hello, http: "http://127.0.0.1:8080/", contains: hello}
"""
UP, LONG = 1200.0, 1800.0
"""Seconds until the box is up, and until it says of a stick what is waited for."""
BUS = ("-device", "qemu-xhci,id=usb")
RAW = {"driver": "raw", "node-name": "stick"}


def main() -> None:
    with built.alone("field"):
        tell(Field(built.FIELD, "role: carried\n"))


def tell(field: Field) -> None:
    """The whole story."""
    (field.fleet / "roles" / "carried.yaml").write_text(ROLE)
    field.commit("A role for sticks")
    field.apply()
    with tempfile.TemporaryDirectory(dir=built.FOLDER) as place:
        folder = Path(place)
        machine = field.new_disk(folder, SIZES)
        machine.hardware = replace(machine.hardware, board=PLAIN, more=BUS)
        with machine:
            began = time.monotonic()
            machine.wait_for(r"init: up after", UP)
            say(began, "the box is up, and nobody is there")
            field.change(GREETING, f"hello, carried, {time.time()}\n", "To be carried")
            update(field, machine, folder, began)
            again(field, machine, folder, began)


def update(field: Field, machine: Machine, folder: Path, began: float) -> None:
    """The stick brings the release; its report says so."""
    wanted = field.store.offers.published(BOX)
    assert wanted
    image = stick(bundle(field, folder), folder / "stick.img", "mbr", 512)
    plug_in(machine, image)
    say(began, f"plugged in: release {wanted.release.sequence}")
    for words in ("is copied: leave it in", "is tried: leave it in", "runs: pull it out"):
        machine.wait_for(f"TowerOS: the stick .*release {wanted.release.sequence} {words}", LONG)
        say(began, f"release {wanted.release.sequence} {words}")
    pull_out(machine)
    (row,) = returned(image, field.store)
    say(began, f"its report: {row}")
    report = field.report()
    assert row.taken and report.sequence == wanted.release.sequence and report.health == Health.HEALTHY
    (once_more,) = returned(image, field.store)
    assert not once_more.taken and "seen already" in once_more.words, once_more


def again(field: Field, machine: Machine, folder: Path, began: float) -> None:
    """An ISO that was written to a stick: nothing is new; its report is written into it all the same."""
    image = folder / "bundle.iso"
    iso.write(built.media_tools(), bundle(field, folder), image)
    before = len(machine.output())
    plug_in(machine, image)
    machine.wait_for("runs: pull it out", LONG, after=before)
    pull_out(machine)
    (row,) = returned(image, field.store)
    say(began, f"an ISO on a stick: {row}")
    assert row.taken


def bundle(field: Field, folder: Path) -> Path:
    place = folder / "bundle"
    shutil.rmtree(place, ignore_errors=True)
    root = (field.fleet / "keys" / "root.json").read_bytes()
    bundles.make(Folder(field.settings.state), root, [BOX], place)
    return place


def plug_in(machine: Machine, image: Path) -> None:
    ask = machine.control.command
    ask("blockdev-add", **RAW, file={"driver": "file", "filename": str(image)})
    ask("device_add", driver="usb-storage", drive="stick", id="plugged", bus="usb.0", removable=True)
    # When the machine starts again, QEMU does: with what is plugged in then.
    drive = ("-blockdev", f"driver=raw,node-name=stick,file.driver=file,file.filename={image}")
    device = ("-device", "usb-storage,drive=stick,id=plugged,bus=usb.0,removable=on")
    machine.hardware = replace(machine.hardware, more=(*BUS, *drive, *device))


def pull_out(machine: Machine) -> None:
    machine.hardware = replace(machine.hardware, more=BUS)
    machine.control.command("device_del", id="plugged")
    time.sleep(5)  # the guest lets go of it
    machine.control.command("blockdev-del", **{"node-name": "stick"})


def say(began: float, words: str) -> None:
    sys.stdout.write(f"{time.monotonic() - began:6.0f} s  {words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
