"""A box of two kinds that no other story has: with a TPM, and with a container of more layers than one option holds.

The agent in its container reaches the TPM, and has its key from it when TOWEROS is lost. The container's layers are
more than what fits into the page of options of mount(2), which `toweros plan` takes for an initrd of today.
"""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from gitops.assemble.fits import OLD_LAYERS
from gitops.lab.machine import Machine
from gitops.oci.elsewhere import Elsewhere
from gitops.oci.files.importing import import_images
from tests.e2e.field import BOX, Field
from tests.kit import built
from tests.kit.images import layout, made
from tests.kit.oci import tar
from tests.kit.soft_tpm import SoftTpm, a_tpm

pytestmark = [pytest.mark.e2e, pytest.mark.boot]

OURS = "/run/toweros/esp/EFI/toweros"
KEY = "/run/toweros/disk/identity/box.key"
SPEC, LAYERS = "boot/vm.yml", OLD_LAYERS + 8
TELL = "cat /shared >/run/deep; ls / | grep -c own- >>/run/deep"
DEEP = """
  - name: deep
    image: "web.example/deep@{digest}"
    command: [/bin/sh, -c, "{tell}"]
    binds: [/run:/run]
"""


@dataclass
class Sealed:
    """The box in its first life, and what it hangs on."""

    machine: Machine
    tpm: SoftTpm
    since: int


@pytest.fixture(scope="module")
def deep(field: Field, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A commit with such a container, and one without it again."""
    spec = field.fleet / SPEC
    before = spec.read_text()
    shell = [built.store().blobs.read(layer) for layer in built.image("pkg/dhcpcd").layers]
    own = [tar({"shared": f"{number}\n".encode(), f"own-{number}": b""}) for number in range(LAYERS)]
    image = made([*shell, *own])
    source = layout(tmp_path_factory.mktemp("deep"), {"deep": image})
    import_images(Elsewhere(field.settings, field.store), field.store, str(source))
    field.change(SPEC, before.rstrip() + DEEP.format(digest=image.digest, tell=TELL), "A container of many layers")
    yield
    field.change(SPEC, before, "Without it")


@pytest.fixture(scope="module")
def sealed(field: Field, deep: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sealed]:
    folder, since = tmp_path_factory.mktemp("with-tpm"), int(time.time())
    hardware = field.new_disk(folder).hardware
    with a_tpm(folder / "tpm", for_qemu=True) as tpm:
        with Machine(folder, replace(hardware, more=(*hardware.more, *tpm.words()))) as machine:
            field.wait_healthy(since)
            yield Sealed(machine, tpm, since)
    shutil.rmtree(folder)


def test_a_container_of_more_layers_than_one_mount_option_holds_is_whole(field: Field, sealed: Sealed) -> None:
    assert field.ssh("nsenter -t 1 -m -- cat /run/deep").split() == [f"{LAYERS - 1}", f"{LAYERS}"]


def test_a_machine_with_a_tpm_seals_the_copy_and_opens_it_without_toweros(field: Field, sealed: Sealed) -> None:
    before = field.ssh(f"nsenter -t 1 -m -- head -1 {KEY}")
    assert field.ssh(f"nsenter -t 1 -m -- ls {OURS}").split() == ["box.sealed"]
    field.ssh(f"nsenter -t 1 -m -- sh -c 'rm {KEY} && sync'")
    sealed.machine.stop()
    sealed.tpm.stop()
    sealed.tpm.start()
    boot = field.report().boot_id
    with Machine(sealed.machine.folder, sealed.machine.hardware):
        field.wait_until("another boot", lambda: field.report().boot_id != boot)
        assert field.wait_healthy(sealed.since).degraded == ()
        assert field.ssh(f"nsenter -t 1 -m -- head -1 {KEY}") == before
        row = field.store.boxes.row(BOX)
        assert row and before.split()[-1] == row.public_key
