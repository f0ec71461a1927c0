"""From the verified root to the services, as init's scripts do it: their functions, on folders that stand for a box."""

import subprocess
import time
from pathlib import Path

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
