"""A machine in QEMU, as far as it gets without a system to boot."""

import time
from pathlib import Path

import pytest

from gitops.errors import VmError
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


def test_a_machine_that_is_off_takes_no_orders_and_may_be_switched_off_again(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine", Hardware(tmp_path / "disk.raw", tmp_path / "vars.fd"))
    for order in (machine.reset, machine.console):
        with pytest.raises(VmError, match="machine is off"):
            order()
    with pytest.raises(VmError, match="before the machine ended"):
        machine.wait_for("login:", timeout=30)
    machine.stop()
    machine.power_cut()
    assert not machine.running and machine.output() == "" and machine.trouble == ""
