"""A machine with a TPM: the agent in its container reaches it, and has its key from it when TOWEROS is lost."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.lab.machine import Machine
from tests.e2e.field import BOX, Field
from tests.kit.soft_tpm import a_tpm

pytestmark = [pytest.mark.e2e, pytest.mark.boot]

OURS = "/run/toweros/esp/EFI/toweros"
KEY = "/run/toweros/disk/identity/box.key"


def test_a_machine_with_a_tpm_seals_the_copy_and_opens_it_without_toweros(field: Field, tmp_path: Path) -> None:
    folder, since = tmp_path / "with-tpm", int(time.time())
    folder.mkdir()
    made = field.new_disk(folder)
    with a_tpm(tmp_path / "tpm", for_qemu=True) as tpm:
        hardware = replace(made.hardware, more=(*made.hardware.more, *tpm.words()))
        with Machine(folder, hardware) as machine:
            field.wait_healthy(since)
            before = field.ssh(f"nsenter -t 1 -m -- head -1 {KEY}")
            assert field.ssh(f"nsenter -t 1 -m -- ls {OURS}").split() == ["box.sealed"]
            field.ssh(f"nsenter -t 1 -m -- sh -c 'rm {KEY} && sync'")
            machine.stop()
        tpm.stop()
        tpm.start()
        boot = field.report().boot_id
        with Machine(folder, hardware):
            field.wait_until("another boot", lambda: field.report().boot_id != boot)
            assert field.wait_healthy(since).degraded == ()
            assert field.ssh(f"nsenter -t 1 -m -- head -1 {KEY}") == before
            row = field.store.boxes.row(BOX)
            assert row and before.split()[-1] == row.public_key
    shutil.rmtree(folder)
