"""How init checks and mounts the ESP: its own script under busybox, with programs that do not end or that fail."""

import re
import subprocess
from pathlib import Path

BOOT = Path(__file__).resolve().parents[2] / "pkg/init/files/usr/lib/toweros/boot"


def function(name: str) -> str:
    found = re.search(rf"^{name}\(\) \{{\n.*?^\}}\n", BOOT.read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found[0]


def sh(script: str) -> str:
    done = subprocess.run(["busybox", "sh", "-c", script], capture_output=True, text=True, timeout=20)
    return done.stdout + done.stderr


def test_a_check_that_never_ends_is_killed(tmp_path: Path) -> None:
    fsck = tmp_path / "fsck.vfat"
    fsck.write_text("#!/bin/sh\nexec sleep 30\n")
    fsck.chmod(0o755)
    check = function("check_esp").replace("KILL 60", "KILL 1").replace("/run/fsck.log", f"{tmp_path}/log")
    said = sh(f'PATH={tmp_path}:$PATH HANDOVER={tmp_path} device=x\nsay() {{ echo "$1"; }}\n{check}check_esp')
    assert "fsck.vfat ended with 137" in said


def test_an_esp_on_which_nothing_can_be_removed_is_mounted_once(tmp_path: Path) -> None:
    disks(tmp_path, "sda", "sdb")
    assert mounted(tmp_path) == "mount /dev/sda1\n"


def test_the_esp_is_that_of_the_disk_that_the_box_runs_from_and_no_sticks(tmp_path: Path) -> None:
    disks(tmp_path, "sda", "sdb")
    assert mounted(tmp_path, runs_from="sdb2") == "mount /dev/sdb1\n"


def disks(folder: Path, *names: str) -> None:
    """Each with ESP and TOWEROS."""
    block = folder / "class" / "block"
    for name in names:
        for part, label in ((f"{name}1", "ESP"), (f"{name}2", "TOWEROS")):
            (block / name / part).mkdir(parents=True)
            (block / name / part / "uevent").write_text(f"DEVNAME={part}\nPARTNAME={label}\n")
            (block / part).symlink_to(f"{name}/{part}")


def mounted(folder: Path, runs_from: str = "") -> str:
    """What is mounted as the ESP of a box whose TOWEROS is this."""
    (folder / "mounts").write_text(f"/dev/{runs_from} {folder}/disk ext4 rw 0 0\n" if runs_from else "")
    fakes = 'say() { echo "$1"; }\ncheck_esp() { :; }\nmount() { echo mount $5; }\nrm() { return 1; }\n'
    work = function("esps") + function("mount_esp").replace("/sys/firmware/efi", "/")
    return sh(f"HANDOVER={folder} SYS={folder} MOUNTS={folder}/mounts\n{fakes}{work}mount_esp")
