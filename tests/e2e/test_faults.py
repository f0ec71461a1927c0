"""Four bad releases in a row, a damaged layer, a lost key, a disk that refuses to be written: the box comes back.

The bad ones are put on the disk of a healthy box from outside, each under a newer name than the last, as if they had
been staged: systemd-boot starts with the newest. What each did stands on the serial console.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gitops.assemble.boot.cpio import Node, archive
from gitops.assemble.boot.uki import make_uki
from gitops.assemble.release import BOOT_FILES, BOOTLOADER, Assembler
from gitops.lab.machine import Machine
from gitops.model import Phase, Publication
from gitops.process import run
from gitops.sign import Signer, keys
from tests.e2e.field import BOX, GREETING, LONG, SIZES, STATIC, Field
from tests.e2e.noise import noise_on
from tests.kit import built
from tests.kit.faulty import Faulty, refuse_writes

pytestmark = [pytest.mark.e2e, pytest.mark.boot]

# Shorter than on a box: this init does little or nothing, and what the story waits for is the bite.
INIT = (built.CHECKOUT / "pkg" / "initrd" / "init").read_text().replace("WATCHDOG=180", "WATCHDOG=60")
DISK_TROUBLE = re.compile("Input/output error|[Rr]ead-only file system")
SAY = 'echo "FAULT: {}" >/dev/console\n'
PANIC = "#!/bin/sh\nmount -t proc proc /proc\n" + SAY.format("panic") + "echo c >/proc/sysrq-trigger\n"
HANG = INIT.replace("WATCHDOG=60", "WATCHDOG=20").replace(
    "\tread_command_line\n", "\t" + SAY.format("hang in the initrd") + "\twhile :; do sleep 9; done\n", 1
)
HANG_LATE = INIT.replace(
    "exec switch_root $ROOT /init", SAY.format("hang in user space") + "exec switch_root $ROOT /usr/bin/sleep 9999"
)


@dataclass
class Bad:
    """Boot files that should never be kept."""

    field: Field
    publication: Publication
    foreign: Signer

    def uki(self, init: str | None = None, signer: Signer | None = None) -> bytes:
        """The release's UKI, signed, with another /init laid over the initrd's."""
        store, content = self.field.store, self.publication.release.content
        boot = Assembler(store, built.toolbox(), {BOOTLOADER: built.image("pkg/bootloader")}).boot_files()
        initrd = store.blobs.read(content.initrd.sha256)
        if init:
            initrd += bytes(-len(initrd) % 4) + archive({"init": Node(0o100755, data=init.encode())})
        stub, kernel = store.blobs.read(boot[BOOT_FILES[1]].sha256), store.blobs.read(content.kernel.sha256)
        made = make_uki(stub, kernel, initrd, content.cmdline)
        return (signer or Signer.open(self.field.settings.keys)).sign_boot(made)

    def stage(self, disk: Path, name: str, uki: bytes) -> None:
        """Write an entry onto the ESP of a raw disk, with the good release's addon."""
        folder = disk.with_suffix(".esp")
        extra = folder / "EFI" / "Linux" / (name.partition("+")[0].removesuffix(".efi") + ".efi.extra.d")
        extra.mkdir(parents=True)
        (folder / "EFI" / "Linux" / name).write_bytes(uki)
        (extra / "release.addon.efi").write_bytes(self.field.store.blobs.read(self.publication.addon.sha256))
        esp = f"{disk}@@{SIZES.starts()['ESP'][0]}"
        run(["mcopy", "-o", "-s", "-i", esp, extra, folder / "EFI" / "Linux" / name, "::/EFI/Linux/"])
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def healthy(field: Field, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the disk and variables of a box that was healthy once, lost its key on TOWEROS, and is off:
    `test_box.py` leaves one."""
    if field.healthy:
        return field.healthy
    folder = tmp_path_factory.mktemp("healthy")
    with field.new_disk(folder) as machine:
        field.wait_healthy(field.state().enrolled)
        field.leave(machine)
    machine.serial.unlink()
    return folder


@pytest.fixture(scope="module")
def bad(field: Field, healthy: Path, tmp_path_factory: pytest.TempPathFactory) -> Bad:
    published = field.store.offers.published(BOX)
    assert published
    folder = tmp_path_factory.mktemp("foreign") / "keys"
    keys.init(folder, b"foreign", root_keys=1, threshold=1)
    return Bad(field, published, Signer.open(folder))


def copy(healthy: Path, folder: Path) -> Path:
    folder.mkdir()
    for name in ("disk.raw", "vars.fd"):
        subprocess.run(["cp", "--sparse=always", healthy / name, folder / name], check=True)
    return folder


@dataclass
class Past:
    """What the box went through until it was back: all that it said, the layer that was damaged, its key."""

    machine: Machine
    said: str
    layer: str
    key: str


@pytest.fixture(scope="module")
def past(field: Field, bad: Bad, healthy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """Through all four, with noise on the serial line, and a damaged layer that they share with the good one."""
    folder = copy(healthy, tmp_path_factory.mktemp("faults") / "machine")
    disk, n = folder / "disk.raw", bad.publication.release.sequence + 1000
    bad.stage(disk, f"toweros-{n + 5}+1.efi", bad.uki(HANG_LATE))
    bad.stage(disk, f"toweros-{n + 4}+1.efi", bad.uki(HANG))
    bad.stage(disk, f"toweros-{n + 3}+1.efi", bad.uki(PANIC))
    bad.stage(disk, f"toweros-{n + 2}.efi", bad.uki(signer=bad.foreign))
    layer = max(bad.publication.release.layers(), key=lambda each: each.size)
    damage(disk, layer.root, layer.size // 2)
    boot = field.report().boot_id
    with Machine(folder, Faulty.of(field.machine_in(folder).hardware)) as machine:
        with noise_on(machine, until="initrd: "):
            field.wait_until("the box to come back", lambda: field.report().boot_id != boot)
        field.wait_healthy(0)
        yield Past(machine, machine.output(), layer.root, field.ssh("cat /run/toweros/disk/identity/box.key"))


def test_a_hang_in_user_space_is_left_behind(past: Past) -> None:
    assert past.said.count("FAULT: hang in user space") == 1


def test_a_hang_in_the_initrd_is_left_behind(past: Past) -> None:
    assert past.said.count("FAULT: hang in the initrd") == 1


def test_a_kernel_panic_is_left_behind(past: Past) -> None:
    assert past.said.count("FAULT: panic") == 1


def test_a_blessed_uki_of_another_signer_never_runs_and_the_second_boot_entry_does(
    past: Past, field: Field, bad: Bad
) -> None:
    assert past.said.index("FAULT: panic") < past.said.lower().index("access denied")
    assert field.report().release == bad.publication.document.sha256
    assert field.report().entry == f"toweros-{bad.publication.release.sequence}.efi"


def test_a_damaged_layer_is_repaired_and_a_lost_key_comes_back_from_its_copy(past: Past) -> None:
    assert re.findall("the layer ([0-9a-f]{64}) is repaired", past.said) == [past.layer]
    assert past.key.startswith("public: "), "from its copy on the ESP"


def test_a_disk_that_refuses_every_write_stages_nothing_and_a_reset_takes_what_was_missed(
    past: Past, field: Field
) -> None:
    """TOWEROS, STATE and the ESP at once, by the device itself."""
    before = field.report()
    refuse_writes(past.machine)
    assert field.change(GREETING, "hello, whoever can write\n", "Not to be stored").published == (BOX,)
    field.wait_until(
        "the box to say so", lambda: DISK_TROUBLE.search(f"{field.report().error} {field.report().degraded}")
    )
    said = field.report()
    assert (said.boot_id, said.release, said.staged) == (before.boot_id, before.release, 0), said
    assert field.ssh("cat /etc/hostname", login=True).strip() == BOX, "it still lets the operator in"
    past.machine.reset()
    assert field.wait_healthy(int(time.time())).sequence > before.sequence


def test_an_ordered_box_leaves_a_disk_with_nothing_on_it_and_is_off(past: Past, field: Field) -> None:
    """Its last act: the order from Git, by the real firmware, initrd and disk."""
    row = field.store.boxes.row(BOX)
    assert row
    order = f'wipe: {{key: "{row.public_key}", why: "ada: sold"}}\n'
    field.change(f"boxes/{BOX}.yaml", STATIC + order, "The end of it")
    past.machine.wait_off(LONG)
    assert field.report().phase == Phase.WIPING, "its last word"
    field.change(f"boxes/{BOX}.yaml", STATIC, "For the next story")
    with (past.machine.folder / "disk.raw").open("rb") as disk:
        assert not any(piece.strip(b"\0") for piece in iter(lambda: disk.read(1 << 24), b""))


def damage(disk: Path, root: str, offset: int) -> None:
    """Flip one byte of a layer's file on the TOWEROS partition."""
    start, _ = SIZES.starts()["TOWEROS"]
    block_size = 4096
    request = f"bmap /layers/{root} {offset // block_size}"
    block = int(run(["debugfs", "-R", request, f"{disk}?offset={start}"]).split()[-1])
    with disk.open("r+b") as stream:
        stream.seek(start + block * block_size + offset % block_size)
        byte = stream.read(1)
        stream.seek(-1, 1)
        stream.write(bytes([byte[0] ^ 1]))
