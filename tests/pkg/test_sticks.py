"""What the host makes of disks that are plugged in (pkg/init, `sticks`): a node for each, and none for its own."""

import subprocess
from pathlib import Path

import pytest

from tests.kit.init import INIT, sh

BLOCK = {"sda": "8:0", "sdb": "8:16", "vda": "254:0", "nvme0n1": "259:0", "loop0": "7:0", "dm-0": "252:0"}


class Host:
    """A /sys of some disks, and the folder that the agent looks into."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.block, self.sticks = folder, folder / "sys" / "block", folder / "sticks"
        self.sticks.mkdir()
        self.block.mkdir(parents=True)
        (folder / "mounts").write_text("")

    def disk(self, name: str, seq: int, parts: int = 1, size: int = 4096, label: str = "") -> Path:
        disk = self.block / name
        places = [disk, *(disk / f"{name}{number}" for number in range(1, parts + 1))]
        major, _, minor = BLOCK[name].partition(":")
        for number, place in enumerate(places):
            (place / "holders").mkdir(parents=True, exist_ok=True)
            (place / "dev").write_text(f"{major}:{int(minor) + number}\n")
            (place / "uevent").write_text(f"MAJOR={major}\n" + (f"PARTNAME={label}\n" if label and number else ""))
        (disk / "size").write_text(f"{size}\n")
        (disk / "diskseq").write_text(f"{seq}\n")
        return disk

    def mounted(self, number: str) -> None:
        with (self.folder / "mounts").open("a") as file:
            file.write(f"29 1 {number} / /run/toweros/disk rw - ext4 /dev/x rw\n")

    def look(self) -> set[str]:
        """One look of the host; the names of the nodes there are then."""
        text = (
            (INIT / "sticks").read_text().replace("\nmain\n", "\n").replace("/usr/lib/toweros/common.sh", "/dev/null")
        )
        (self.folder / "script").write_text(text)
        words = f". {self.folder}/script; say() {{ :; }}; SYS={self.folder}/sys MOUNTS={self.folder}/mounts; "
        sh(self.folder, f"{words}STICKS={self.sticks}; look; look")
        return {path.name for path in self.sticks.iterdir()}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_stick_has_a_node_while_it_is_there_and_another_one_when_it_comes_again(host: Host) -> None:
    host.disk("sdb", 7)
    assert host.look() == {"sdb.7"}
    assert subprocess.check_output(["stat", "-c", "%F %t:%T %a", host.sticks / "sdb.7"], text=True).strip() == (
        "block special file 8:10 600"
    )
    (host.block / "sdb" / "diskseq").write_text("8\n")
    assert host.look() == {"sdb.8"}
    subprocess.run(["rm", "-r", host.block / "sdb"], check=True)
    assert host.look() == set()


def test_the_box_s_own_disks_have_none(host: Host) -> None:
    host.disk("vda", 1)
    host.mounted("254:1")
    host.disk("nvme0n1", 2)
    (host.block / "nvme0n1" / "nvme0n11" / "holders" / "dm-0").mkdir()
    host.disk("sda", 3, label="STATE")
    host.disk("loop0", 4)
    host.disk("dm-0", 5)
    host.disk("sdb", 6)
    assert host.look() == {"sdb.6"}


def test_a_reader_without_a_card_has_none(host: Host) -> None:
    host.disk("sdb", 7, size=0)
    assert host.look() == set()


def test_the_agent_alone_has_devices_there_and_makes_none_itself() -> None:
    import yaml

    config = yaml.safe_load((INIT.parents[4] / "agent" / "build.yml").read_text())["config"]
    assert {"path": "all", "type": "b"} in config["devices"] and "CAP_MKNOD" not in config["capabilities"]
    mounted = (INIT / "boot").read_text()
    assert "mount -t tmpfs -o nosuid,noexec,mode=0700,size=64k,nr_inodes=64 sticks $HANDOVER/sticks" in mounted
