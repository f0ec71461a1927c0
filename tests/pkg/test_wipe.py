"""A box is wiped by its initrd (ADR 70): the real shell, on loop devices with the real file systems."""

import random
import subprocess
from pathlib import Path

import pytest

from tests.kit.settling import MIB, STARTS, Disk, Machine, machine, sh

pytestmark = pytest.mark.e2e
KEY, OTHER = "ab" * 32, "cd" * 32
SECRET = b"-----BEGIN PRIVATE KEY----- of this box"
OFF = "it is switched off now"
WIPES = 'poweroff() { echo "' + OFF + '"; exit 0; }; sleep() { :; };' + STARTS
"""A start of the box; what comes after its layers would be looked for says `started`."""
DATA = random.Random(7).randbytes(2 * MIB)


def a_box(machine_: Machine, folder: Path, order: str = KEY, state_at: str = "") -> Disk:
    """One that lived: keys in both places, data, and an order."""
    disk = machine_.disk(70)
    assert "is settled" in machine_.settle("toweros.install=largest", DISKS=disk.name)
    put(disk, folder, "identity/box.key", f"public: {KEY}\n".encode() + SECRET)
    put(disk, folder, "state/wipe", f"{order}\n{state_at}\n".encode())
    (folder / "file").write_bytes(SECRET + b" on the ESP")
    esp = disk.node("ESP")
    sh("mmd", "-i", esp, "::/EFI/toweros")
    sh("mcopy", "-i", esp, folder / "file", "::/EFI/toweros/box.key")
    (folder / "file").write_bytes(DATA)
    sh("debugfs", "-w", "-R", f"write {folder}/file precious", disk.node("STATE"))
    disk.again()
    return disk


def put(disk: Disk, folder: Path, path: str, data: bytes) -> None:
    (folder / "file").write_bytes(data)
    sh("debugfs", "-w", "-R", f"write {folder}/file {path}", disk.node("TOWEROS"))


def start(box: Machine, cut: int = 0, **values: str) -> str:
    """What a start of this box says; at its end nothing is mounted."""
    return box.settle("", work=WIPES, cut=cut, WIPE_LOOK="3", **values)


def test_a_wiped_disk_has_nothing_on_it_and_the_box_is_off(tmp_path: Path) -> None:
    with machine(tmp_path) as box:
        disk = a_box(box, tmp_path)
        said = start(box)
        assert OFF in said and "started" not in said, said
        assert not any(disk.path.read_bytes())
        # So the next machine's medium asks nobody.
        assert "is settled" in box.settle("toweros.install=largest")


@pytest.mark.parametrize("order", [OTHER, "nonsense", ""])
def test_an_order_for_another_machines_key_is_dropped_and_the_box_starts(tmp_path: Path, order: str) -> None:
    """A copy of an order on another disk; one for the machine that had this name before; damage."""
    with machine(tmp_path) as box:
        disk = a_box(box, tmp_path, order)
        said = start(box)
        assert "started" in said and "of another machine's key" in said and OFF not in said, said
        files = disk.files("TOWEROS", tmp_path / "look")
        assert SECRET in files["identity/box.key"] and "state/wipe" not in files
        assert disk.files("STATE", tmp_path / "look")["precious"] == DATA


@pytest.mark.parametrize("kind", ["torn", "lost"])
def test_cut_at_any_step_the_next_start_ends_it_and_none_has_keys(tmp_path: Path, kind: str) -> None:
    with machine(tmp_path) as box:
        disk, before, synced = a_box(box, tmp_path), box.memory / "start", box.memory / "synced"
        losing = {"TEARING": "yes"} if kind == "torn" else {"LOSING": "yes"}
        sh("cp", "--sparse=always", disk.path, before)
        for cut in range(1, 200, 3 if kind == "torn" else 7):
            disk.put(before)
            sh("cp", "--sparse=always", before, synced)
            said = start(box, cut, SYNCED=str(synced), **losing)
            if "cut: " not in said:
                assert OFF in said, said
                break
            if kind == "lost":
                disk.put(synced)
            disk.again()
            boots = begins(disk)
            again = start(box, DISK_WAIT="2")
            assert "started" not in again, (cut, said, again)
            assert OFF in again or not boots, (cut, said, again)
            left = disk.path.read_bytes()
            # What starts the box is gone last: whatever is there when nothing starts it, it has no key and no data.
            assert SECRET not in left and DATA[:4096] not in left, (cut, said, again)
        assert cut > 8


def begins(disk: Disk) -> bool:
    """Whether firmware finds a boot loader on the disk."""
    subprocess.run(["partx", "-d", disk.device], capture_output=True)
    found = subprocess.run(["sgdisk", "--print", disk.device], capture_output=True, text=True).stdout
    row = next((line.split() for line in found.splitlines() if line.endswith(" ESP")), None)
    where = f"{disk.path}@@{int(row[1]) * 512}" if row else ""
    looked = subprocess.run(["mdir", "-i", where, "::/EFI/BOOT/BOOTX64.EFI"], capture_output=True) if row else None
    subprocess.run(["partx", "-a", disk.device], capture_output=True)
    return looked is not None and looked.returncode == 0


def test_data_on_another_disk_go_with_the_box_and_no_other_disk_is_touched(tmp_path: Path) -> None:
    with machine(tmp_path) as box:
        second, third = box.disk(40), box.disk(40)
        for each in (second, third):
            sh("mkfs.ext4", "-q", "-L", "STATE", each.device)
            sh("debugfs", "-w", "-R", f"write {__file__} precious", each.device)
        foreign = third.path.read_bytes()
        box.disks.reverse()
        place = Path(f"/sys/class/block/{second.name}").resolve()
        disk = a_box(box, tmp_path, state_at=str(place.relative_to("/sys")))
        said = start(box, DISKS=disk.name)
        assert OFF in said, said
        assert not any(disk.path.read_bytes()) and not any(second.path.read_bytes())
        assert third.path.read_bytes() == foreign


ALL = r"""
partition() {
    for each in $DISKS; do
        grep -q . /sys/class/block/$each/*/partition 2>/dev/null || continue
        disk_sizes $each && read_table $each && part_device $each "$1" && return
    done
    return 1
}
reboot() { echo "it starts again now"; exit 0; }
"""
"""A machine with several disks."""


def an_enemy_s(box: Machine, folder: Path, names: str) -> Disk:
    """A stick that says that it is being wiped, and that its data lie on another disk."""
    stick = box.disk(70)
    assert "is settled" in box.settle("toweros.install=largest", DISKS=stick.name)
    put(stick, folder, "identity/box.key", f"public: {OTHER}\n".encode())
    put(stick, folder, "state/wipe", f"{OTHER}\n{names}\n".encode())
    sh("sgdisk", "-c", f"{stick.partitions()['TOWEROS'][0]}:TOWEROS-wipe", stick.device)
    stick.again()
    return stick


def test_a_stick_that_says_it_is_being_wiped_neither_ends_a_box_nor_names_a_disk_of_it(tmp_path: Path) -> None:
    with machine(tmp_path) as box:
        disk = a_box(box, tmp_path, OTHER)
        node = disk.node("STATE").removeprefix("/dev/")
        before = disk.path.read_bytes()
        stick = an_enemy_s(box, tmp_path, str(Path(f"/sys/class/block/{node}").resolve().relative_to("/sys")))
        work = WIPES.replace("mkdir -p $DISK", ALL + "mkdir -p $DISK")
        both = {"DISKS": f"{stick.name} {disk.name}", "WIPE_LOOK": "3"}
        said = box.settle("", work=work, **both)
        assert "started" in said and "is wiped" not in said, said
        # The disk of the box comes later than every wait: the stick goes, nothing of the box does.
        late = work.replace("for each in $DISKS", "[ $fed ] || set -- $1 late; for each in ${2:+$stick} ${2:-$DISKS}")
        said = box.settle("", work=late, stick=stick.name, **both)
        assert "is of another box, and stays" in said and "it starts again now" in said and OFF not in said, said
        assert disk.files("STATE", tmp_path / "look")["precious"] == DATA
        assert before[70 * MIB - 512 :] == disk.path.read_bytes()[70 * MIB - 512 :]


STAYS = 'mkdir -p $HANDOVER/ram && keep_in_memory() { echo "it stays on its medium"; }; stay_or_install'


def half_wiped(box: Machine, folder: Path) -> Disk:
    """A disk whose wipe was cut after its first word, beside one of somebody else, which it names as its data's."""
    disk, other = a_box(box, folder, state_at="block/other"), box.disk(40)
    sh("mkfs.ext4", "-q", "-L", "STATE", other.device)
    sh("debugfs", "-w", "-R", f"write {__file__} precious", other.device)
    place = str(Path(f"/sys/class/block/{other.name}").resolve().relative_to("/sys"))
    put(disk, folder, "state/named", f"{KEY}\n{place}\n".encode())
    node = disk.node("TOWEROS")
    sh("debugfs", "-w", "-R", "rm state/wipe", node)
    sh("debugfs", "-w", "-R", "ln state/named state/wipe", node)
    sh("sgdisk", "-c", f"{disk.partitions()['TOWEROS'][0]}:TOWEROS-wipe", disk.device)
    disk.again()
    return disk


@pytest.mark.parametrize("rule", ["", "largest"])
def test_a_half_wiped_disk_is_wiped_to_its_end_also_under_a_medium_which_then_goes_on(
    tmp_path: Path, rule: str
) -> None:
    with machine(tmp_path) as box:
        disk = half_wiped(box, tmp_path)
        other = box.disks[1]
        foreign = other.path.read_bytes()
        words = f"toweros.install={rule}" if rule else ""
        both = " ".join(each.name for each in box.disks)
        said = box.settle(words, work="sleep() { :; };" + (STAYS if not rule else "settle_disk"), DISKS=both)
        assert "what was left of a wiped box is gone" in said and "which stays as it is" in said, said
        assert ("is settled" if rule else "it stays on its medium") in said and OFF not in said, said
        left = disk.path.read_bytes()
        assert SECRET not in left and DATA[:4096] not in left and (rule or not any(left))
        assert other.path.read_bytes() == foreign


def test_links_on_a_disk_that_somebody_made_lead_to_no_file_of_this_machine(tmp_path: Path) -> None:
    """Such as the key on the stick of a box that runs from its memory."""
    with machine(tmp_path) as box:
        disk = half_wiped(box, tmp_path)
        (tmp_path / "stick").mkdir()
        key = tmp_path / "stick" / "box.key"
        key.write_bytes(SECRET)
        node = disk.node("TOWEROS-wipe")
        for words in ("rm identity/box.key", "rmdir identity", f"symlink identity {tmp_path}/stick"):
            sh("debugfs", "-w", "-R", words, node)
        disk.again()
        said = box.settle("", work="sleep() { :; };" + STAYS, DISKS=disk.name)
        assert "what was left of a wiped box is gone" in said, said
        assert key.is_file() and key.read_bytes() == SECRET


def test_what_only_the_box_knew_goes_with_its_keys_before_the_long_rest(tmp_path: Path) -> None:
    with machine(tmp_path) as box:
        disk = half_wiped(box, tmp_path)
        node = disk.node("TOWEROS-wipe")
        (tmp_path / "file").write_bytes(b"correct horse battery staple")
        for words in ("mkdir secrets", f"write {tmp_path}/file secrets/site-7"):
            sh("debugfs", "-w", "-R", words, node)
        disk.again()
        assert b"correct horse" in disk.path.read_bytes()
        box.settle("", work="write_over() { :; }; sleep() { :; };" + STAYS, DISKS=disk.name)
        assert b"correct horse" not in disk.path.read_bytes()


def test_a_medium_leaves_the_disk_of_a_box_alone_whatever_its_order_says(tmp_path: Path) -> None:
    """An order that no initrd of that box has obeyed yet is the box's own matter."""
    with machine(tmp_path) as box:
        disk = a_box(box, tmp_path)
        before = disk.path.read_bytes()
        said = box.settle("", work=STAYS)
        assert "it stays on its medium" in said and "wiped" not in said, said
        assert disk.path.read_bytes() == before


def test_a_disk_that_takes_no_table_is_not_half_wiped(tmp_path: Path) -> None:
    """It says so and starts: the next order, or its owner, sees to it."""
    with machine(tmp_path) as box:
        disk = a_box(box, tmp_path)
        said = box.settle("", work="put() { false; };" + WIPES)
        assert "this box cannot be wiped: it starts as it is" in said and "started" in said, said
        assert disk.files("STATE", tmp_path / "look")["precious"] == DATA


def test_places_that_cannot_be_written_are_counted_and_the_rest_is_gone(tmp_path: Path) -> None:
    with machine(tmp_path) as box:
        disk = a_box(box, tmp_path)
        bad = 'dd() { case "$*" in *seek=40*count=1[^0-9]*|*seek=*count=32*) false ;; *) command dd "$@" ;; esac; };'
        said = box.settle("", work=bad + WIPES)
        assert "1 MiB of it cannot be written: destroy the disk" in said and OFF in said, said
        left = disk.path.read_bytes()
        assert not any(left[: 40 * MIB]) and not any(left[41 * MIB :])
