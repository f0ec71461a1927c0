"""What an operator asks for is read from what the kernel says, in bounds; what hangs or lies costs nothing else."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import toweros_agent
from toweros_agent import RELEASE, deadlines
from toweros_agent.facts import board
from toweros_agent.facts.asking import Asking
from toweros_agent.facts.facts import Facts
from toweros_agent.facts.links import signals
from toweros_agent.settings import Places

from gitops import __version__

MEMINFO = "MemTotal:        2026516 kB\nMemFree:          100000 kB\nMemAvailable:    1623992 kB\nHugePages_Total:  0\n"
WIRELESS = """Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
 wlan0: 0000   54.  -56.  -256        0      0      0      0     15        0
 wlan1: 0000   54.  200.  -256        0      0      0      0     15        0
"""


AGENT = {**os.environ, "PYTHONPATH": str(Path(toweros_agent.__file__).parents[1])}


def sensor(sys_: Path, name: str, value: str) -> Path:
    path = sys_ / "class" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value)
    return path


def places(folder: Path) -> Places:
    (folder / "proc" / "net").mkdir(parents=True)
    (folder / "proc" / "meminfo").write_text(MEMINFO)
    return Places(run=folder / "run", state=folder / "state", sys=folder / "sys", proc=folder / "proc")


def test_memory_temperature_and_radio_are_what_the_kernel_says(tmp_path: Path) -> None:
    here = places(tmp_path)
    sensor(here.sys, "thermal/thermal_zone0/temp", "48000\n")
    sensor(here.sys, "hwmon/hwmon0/temp1_input", "51500\n")
    (here.proc / "net" / "wireless").write_text(WIRELESS)
    facts = Facts(here, 30).read(30)
    assert facts["memory"] == {"used": (2026516 - 1623992) // 1024 << 20, "size": 2026516 << 10}
    assert facts["temperature"] == 51 and (facts["poll"], facts["every"]) == (30, 30)
    assert facts["kernel"] == os.uname().release and facts["agent"] == RELEASE == __version__
    assert signals(here.proc) == {"wlan0": -55}, "in steps; what is no level is none"


@pytest.mark.parametrize("broken", ["-273150", "255000", "65535000", "", "hot", "9" * 40])
def test_a_sensor_that_is_not_wired_says_nothing(tmp_path: Path, broken: str) -> None:
    sensor(tmp_path, "hwmon/hwmon0/temp1_input", broken)
    assert board.temperature(tmp_path) is None
    sensor(tmp_path, "hwmon/hwmon0/temp2_input", "40000")
    assert board.temperature(tmp_path) == 40


def test_a_sensor_on_a_dead_bus_costs_its_own_fact_alone_and_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A FIFO that nobody writes holds whoever opens it, as such a sensor does."""
    monkeypatch.setattr(deadlines, "FACTS", 0.2)
    here = places(tmp_path)
    dead = here.sys / "class" / "hwmon" / "hwmon0" / "temp1_input"
    dead.parent.mkdir(parents=True)
    os.mkfifo(dead)
    facts = Facts(here, 30)
    before = threading.active_count()
    for _ in range(3):
        said = facts.read(30)
        assert "temperature" not in said and "memory" in said
    assert threading.active_count() == before + 1
    with dead.open("w") as bus:  # the bus is back
        bus.write("33000")
    while threading.active_count() > before:
        time.sleep(0.01)
    dead.unlink()
    sensor(here.sys, "hwmon/hwmon0/temp1_input", "33000")
    assert facts.read(30)["temperature"] == 33


def test_what_raises_is_no_fact() -> None:
    def broken() -> int:
        raise KeyError("MemAvailable")

    assert Asking({"memory": broken, "temperature": lambda: 5, "links": dict})() == {"temperature": 5}


def test_disks_are_those_that_are_file_systems_of_their_own(tmp_path: Path) -> None:
    """In a namespace of its own: the ESP is mounted, STATE lies on the verified root."""
    code = (
        "import json, sys; from pathlib import Path; from toweros_agent.facts import board;"
        "print(json.dumps(board.disks({'esp': Path(sys.argv[1]), 'state': Path(sys.argv[2])})))"
    )
    esp, root = tmp_path / "esp", tmp_path / "root"
    for each in (esp, root, tmp_path / "lower"):
        each.mkdir()
    mounts = f"mount -t tmpfs -o size=8m x {esp} && mkdir {esp}/u {esp}/w && dd if=/dev/zero of={esp}/a bs=1M count=3"
    mounts += f" && mount -t overlay -o lowerdir={tmp_path}/lower,upperdir={esp}/u,workdir={esp}/w x {root}"
    run = f'{mounts} && exec {sys.executable} -c "$0" {esp} {root}'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", run, code], capture_output=True, text=True, timeout=60, env=AGENT
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"esp": {"used": 3 << 20, "size": 8 << 20}}


def test_addresses_are_those_by_which_others_reach_the_box(tmp_path: Path) -> None:
    """In a namespace with its own links."""
    code = "import json; from pathlib import Path; from toweros_agent.facts.links import links;"
    code += "print(json.dumps(links(Path('/proc'))))"
    wires = ["ip link set lo up"]
    for number in range(10):
        wires += [f"ip link add e{number} type veth peer name p{number}", f"ip link set e{number} up"]
        wires += [f"ip address add 192.0.2.{number}/24 dev e{number}"]
    wires += [f"ip -6 address add 2001:db8::{number}/64 dev e0 nodad" for number in range(9)]
    wires += ["ip link add docker0 type veth peer name p10", "ip address add 172.17.0.1/16 dev docker0"]
    run = " && ".join(wires) + f' && exec {sys.executable} -c "$0"'
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", run, code], capture_output=True, text=True, timeout=60, env=AGENT
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert list(rows) == [f"e{number}" for number in range(8)], "so many links, and none of Docker"
    assert rows["e0"]["addresses"][0] == "192.0.2.0/24" and len(rows["e0"]["addresses"]) == 4
    assert rows["e0"]["addresses"][1].startswith("2001:db8::")
    assert not any(each.startswith(("fe80", "127.", "172.17")) for row in rows.values() for each in row["addresses"])
