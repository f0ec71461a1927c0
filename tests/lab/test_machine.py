"""A machine in QEMU, as far as it gets without a system to boot."""

import time
from pathlib import Path

from gitops.lab.hardware import Hardware
from gitops.lab.machine import Machine


def test_a_machine_that_cannot_start_says_why_and_is_off(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine", Hardware(tmp_path / "no-disk.qcow2", tmp_path / "no-variables.fd"))
    with machine:
        deadline = time.monotonic() + 30
        while machine.running:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert "Could not open" in machine.trouble
