"""docs/disks.md is done line by line, on loop devices with the real file systems: a disk is replaced, STATE moves,
and it grows."""

import random
import re
import subprocess
from pathlib import Path

import pytest

from tests.kit.docs import DOCS
from tests.kit.settling import MIB, STARTS, Disk, machine, sh

pytestmark = pytest.mark.e2e
DATA = random.Random(9).randbytes(3 * MIB)
PAGE = (DOCS / "disks.md").read_text()


def lines(title: str) -> list[str]:
    """What stands in the code blocks of a section, and between backticks in its sentences."""
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    fenced = re.findall(r"```sh\n(.*?)```", section, re.S)
    return fenced[0].splitlines() if fenced else re.findall(r"`(dd [^`]+)`", section)


def put_data(disk: Disk, folder: Path) -> None:
    (folder / "data").write_bytes(DATA)
    sh("debugfs", "-w", "-R", f"write {folder}/data precious", disk.node("STATE"))
    disk.again()


def types(line: str, places: dict[str, str]) -> None:
    for name, place in places.items():
        line = line.replace(name, place)
    done = subprocess.run(["sh", "-euc", line], capture_output=True, text=True)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def test_state_moves_to_a_new_disk_by_the_lines_of_the_page_and_the_medium_puts_the_rest_beside_it(
    tmp_path: Path,
) -> None:
    """With 70 MiB of room instead of five GiB: what a small machine's ESP and TOWEROS take."""
    with machine(tmp_path) as box:
        old = box.disk(120)
        assert "is settled" in box.settle("toweros.install=largest", DISKS=old.name)
        put_data(old, tmp_path)
        new = box.disk(200)
        make, copy, enlarge = lines("Moving STATE")
        places = {"5GiB": "70MiB", "/dev/disk/by-partlabel/STATE": old.node("STATE")}
        places |= {"/dev/sdn1": f"{new.device}p1", "/dev/sdn": new.device, "e2fsck -f": "e2fsck -fp"}
        types(make, places)
        new.node("STATE")
        types(copy, places)
        types(enlarge, places)
        said = box.settle("toweros.install=largest", DISKS=new.name)
        assert "is settled" in said, said
        assert new.files("STATE", tmp_path / "look")["precious"] == DATA
        assert sorted(new.partitions()) == ["ESP", "STATE", "TOWEROS"]
        assert int(sh("dumpe2fs", "-h", new.node("STATE")).split("Block count:")[1].split()[0]) > 120 * 256


def test_a_disk_that_was_copied_onto_a_larger_one_grows_with_its_next_start_and_keeps_key_and_data(
    tmp_path: Path,
) -> None:
    with machine(tmp_path) as box:
        old = box.disk(120)
        assert "is settled" in box.settle("toweros.install=largest", DISKS=old.name)
        put_data(old, tmp_path)
        (tmp_path / "key").write_text("public: of this box\n")
        sh("debugfs", "-w", "-R", f"write {tmp_path}/key identity/box.key", old.node("TOWEROS"))
        new = box.disk(200)
        (copy,) = lines("A larger disk")
        types(f"{copy} conv=fsync", {"/dev/OLD": old.device, "/dev/NEW": new.device})
        new.again()
        said = box.settle("toweros.disk=20,rest", work=STARTS, DISKS=new.name)
        assert "started" in said and "STATE grows from" in said, said
        assert new.files("STATE", tmp_path / "look")["precious"] == DATA
        assert new.files("TOWEROS", tmp_path / "look")["identity/box.key"] == b"public: of this box\n"
        assert new.partitions()["STATE"][2] == 144


@pytest.mark.parametrize("key", ["public: of this box\n", ""], ids=["with its key", "without one"])
def test_a_disk_that_died_is_replaced_by_an_empty_one_and_the_boxs_medium(tmp_path: Path, key: str) -> None:
    """Without a key on the medium the box makes one, and asks; the page says so."""
    assert "Take the old disk out" in PAGE and "`STATE` is empty" in PAGE and "wipe` clears a disk" in PAGE
    with machine(tmp_path) as box:
        new = box.disk(120)
        if key:
            (box.medium / "identity").mkdir()
            (box.medium / "identity/box.key").write_text(key)
        said = box.settle("toweros.install=largest")
        assert "is settled: the medium can be taken out" in said, said
        files = new.files("TOWEROS", tmp_path / "look")
        assert files.get("identity/box.key", b"").decode() == key
        assert [*new.files("STATE", tmp_path / "look")] == [], "what was there is on the old disk"
        new.again()
        assert "started" in box.settle("", work=STARTS), "alone"
