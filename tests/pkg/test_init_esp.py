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
    for disk in ("sda1", "sdb1"):
        (tmp_path / disk).mkdir()
        (tmp_path / disk / "uevent").write_text(f"DEVNAME={disk}\nPARTNAME=ESP\n")
    mount = function("mount_esp").replace("/sys/class/block", str(tmp_path)).replace("/sys/firmware/efi", "/")
    fakes = 'say() { echo "$1"; }\ncheck_esp() { :; }\nmount() { echo mount $5; }\nrm() { return 1; }\n'
    said = sh(f"HANDOVER={tmp_path}\n{fakes}{mount}mount_esp")
    assert said == "mount /dev/sda1\n"
