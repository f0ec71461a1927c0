"""Whether KVM works is asked of a guest, and nothing waits for one that hangs."""

import os
import time
from pathlib import Path

import pytest

from gitops.lab import accelerator as module
from gitops.lab.accelerator import TCG, Accelerator, accelerator, works


def qemu(folder: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    """A QEMU of this machine that does something else, on one that has the device."""
    program = folder / "qemu-system-x86_64"
    program.write_text(f"#!/bin/sh\necho $$ >{folder}/pid\n{does}\n")
    program.chmod(0o755)
    (folder / "kvm").touch()
    monkeypatch.setattr(module, "DEVICE", folder / "kvm")
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


@pytest.mark.boot
def test_the_guest_itself_runs_and_says_so() -> None:
    """By emulation, which works everywhere."""
    assert works(60, TCG)


@pytest.mark.parametrize(
    ("does", "word"), [("exit 33", "kvm"), ("exit 0", "tcg"), ("exit 1", "tcg"), ("kill -9 $$", "tcg")]
)
def test_kvm_is_what_a_guest_ran_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, word: str) -> None:
    qemu(tmp_path, monkeypatch, does)
    assert accelerator(Accelerator.auto, 20) == word
    assert accelerator(Accelerator.kvm) == "kvm" and accelerator(Accelerator.tcg) == "tcg", "who says it has it"


def test_a_device_that_hangs_is_left_after_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    qemu(tmp_path, monkeypatch, "exec sleep 600")
    assert accelerator(Accelerator.auto, 1.0) == "tcg"
    pid = int((tmp_path / "pid").read_text())
    while Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        time.sleep(0.05)


def test_without_the_device_nobody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    qemu(tmp_path, monkeypatch, "exit 33")
    (tmp_path / "kvm").unlink()
    assert accelerator(Accelerator.auto) == "tcg" and not (tmp_path / "pid").exists()
