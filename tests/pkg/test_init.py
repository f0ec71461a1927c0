"""From the verified root to the services, as init's scripts do it: their functions, on folders that stand for a box."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.kit.init import INIT, sh


def test_every_service_that_is_made_feeds_the_watchdog_until_the_agent_does(tmp_path: Path) -> None:
    """Between the last container of onboot and the agent a slow box makes its services: minutes without a reset."""
    for name in ("a", "b", "c"):
        (tmp_path / "containers/services" / name).mkdir(parents=True)
        (tmp_path / "containers/services" / name / "config.json").touch()
    text = (INIT / "services").read_text().replace("\nmain\n", "\n").replace("/usr/lib/toweros/common.sh", "/dev/null")
    # A file keeps what a device takes.
    text = text.replace("-c $WATCHDOG", "-e $WATCHDOG").replace(">$WATCHDOG", ">>$WATCHDOG")
    text = text.replace("=/dev/watchdog", f"={tmp_path}/dog")
    (tmp_path / "dog").touch()
    (tmp_path / "services").write_text(
        text + 'for name in say save_log wait_for_containerd; do eval "$name() { :; }"; done\n'
        "create() { wc -c <$WATCHDOG; ls $HANDOVER; }; wait_for_services() { wc -c <$WATCHDOG; }; main\n"
    )
    (tmp_path / "run").mkdir()
    assert sh(tmp_path, f"HANDOVER={tmp_path}/run; . {tmp_path}/services") == "0\n1\n2\n3\n"
    # Seconds of uptime, which the agent reads on its monotonic clock: a box is never suspended.
    assert 0 < float((tmp_path / "run" / "services.made").read_text()) <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_every_device_of_a_bus_or_a_class_is_asked_for_its_driver_once(tmp_path: Path) -> None:
    """Against the kernel that runs this: a walk through all of its devices finds the same."""
    text = (INIT / "boot").read_text().replace("\nmain\n", "\n").replace("/usr/lib/toweros/common.sh", "/dev/null")
    (tmp_path / "boot").write_text(text)
    found = sh(tmp_path, f". {tmp_path}/boot; what_devices_want").splitlines()
    walked = subprocess.run(
        ["find", "/sys/devices", "-name", "modalias", "-exec", "cat", "{}", "+"], capture_output=True, timeout=60
    )
    assert found == sorted(set(walked.stdout.decode().splitlines()))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts take root")
def test_each_app_has_a_folder_for_its_veto_and_fills_nothing_but_that(tmp_path: Path) -> None:
    """/run is the box's own: where its resolver's addresses and the engine's sockets are."""
    for name in ("net", "web"):
        (tmp_path / "apps" / name).mkdir(parents=True)
    text = (INIT / "boot").read_text().replace("\nmain\n", "\n").replace("/usr/lib/toweros/common.sh", "/dev/null")
    for old, new in (("APPS=/etc/compose", f"APPS={tmp_path}/apps"), ("HOLDS=/run", f"HOLDS={tmp_path}/run")):
        assert old in text
        text = text.replace(old, new)
    story = """make_holds; cd $HOLDS; stat -c '%n %a' *
        busybox dd if=/dev/zero of=net/large bs=1M count=8 2>/dev/null
        for number in $(busybox seq 1000); do echo net/$number; done | xargs touch 2>/dev/null
        stat -c %s net/large; ls net | wc -l; echo "a call" >web/call && cat web/call"""
    (tmp_path / "story").write_text(f"{text}\n{story}\n")
    *folders, large, files, call = sh(tmp_path, f"unshare -m busybox sh {tmp_path}/story 2>/dev/null").splitlines()
    assert folders == ["net 1777", "web 1777"] and call == "a call"
    assert int(large) <= 64 << 10 and int(files) < 64
