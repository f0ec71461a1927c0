"""What `settle` makes of a disk: the initrd's own shell and programs, on loop devices."""

import hashlib
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from gitops.assemble.formats.disk import TYPES, Sizes
from tests.kit.initrd import initrd
from tests.kit.settling import MIB, SETTLE, STARTS, Disk, Machine, lay_medium, machine, sh
from tests.simulators.power import EVERY

pytestmark = pytest.mark.e2e
INSTALL = "toweros.install=largest"
NAMES = ["ESP", "TOWEROS", "STATE"]
DONE = "is settled"
ERASED = "ERASE loop, typed here, gives it free"


def digest(disk: Disk) -> str:
    return hashlib.sha256(disk.path.read_bytes()).hexdigest()


def put_data(disk: Disk, folder: Path) -> bytes:
    """User data on STATE, which the next settle has to leave."""
    data = random.Random(1).randbytes(3 * MIB)
    (folder / "data").write_bytes(data)
    sh("debugfs", "-w", "-R", f"write {folder}/data precious", disk.node("STATE"))
    return data


def whole(disk: Disk, folder: Path, release: int = 5) -> None:
    """It has the three partitions with what the medium brought."""
    assert sorted(disk.partitions()) == sorted(NAMES)
    assert disk.files("ESP", folder / "look") == {
        "EFI/BOOT/BOOTX64.EFI": b"loader",
        f"EFI/Linux/toweros-{release}.efi": f"uki {release}".encode(),
        f"EFI/Linux/toweros-{release}.efi.extra.d/release.addon.efi": f"addon {release}".encode(),
        "loader/loader.conf": b"timeout menu-disabled\n",
    }
    layers = disk.files("TOWEROS", folder / "look")
    assert (layers["releases/00.json"], layers["tuf/root.json"]) == (b"{}", b"root")
    assert {path.name for path in (folder / "look").iterdir()} >= {"layers", "releases", "state", "tuf", "identity"}


def test_an_empty_disk_gets_what_the_controller_would_make_of_it(tmp_path: Path) -> None:
    """Names, types, places: one box, however it came to be."""
    with machine(tmp_path) as box:
        disk = box.disk(Sizes().total // MIB)
        said = box.settle(INSTALL, ESP_SIZE="256", LAYERS_SIZE="2048", LEAST="64")
        assert DONE in said, said
        starts = {name: (start // MIB, size // MIB) for name, (start, size) in Sizes().starts().items()}
        assert {name: place[1:] for name, place in disk.partitions().items()} == starts
        assert [place[0] for place in disk.partitions().values()] == [1, 2, 3]
        table = sh("sgdisk", "--print", disk.device).splitlines()[-3:]
        assert {line.split()[-1]: line.split()[-2] for line in table} == {name: TYPES[name] for name in NAMES}
        whole(disk, tmp_path)
        esp = UUID(bytes_le=bytes.fromhex((tmp_path / "run" / "esp.partition").read_text()))
        assert f"Partition unique GUID: {str(esp).upper()}" in sh("sgdisk", "--info=1", disk.device), "for the agent"
    text = SETTLE.read_text()
    assert f"\nESP_SIZE={Sizes.esp} " in text and f"\nLAYERS_SIZE={Sizes.toweros} " in text


def test_a_disk_with_large_sectors_is_settled_as_well(tmp_path: Path) -> None:
    with machine(tmp_path) as box:
        disk = box.disk(400)
        disk.detach()
        disk.name = sh("losetup", "--find", "--show", "--sector-size", "4096", disk.path).strip().removeprefix("/dev/")
        # mtools has no such sectors.
        own = 'mount() { [ $2 != vfat ] || set -- -t tmpfs -o nosuid esp "$6"; command mount "$@"; }; settle_disk'
        said = box.settle(INSTALL, work=own)
        assert DONE in said, said
        assert "No problems found" in sh("sgdisk", "--verify", disk.device)
        # Firmware takes one with fewer clusters than 65,525 for FAT16.
        assert "clusters" in (checked := sh("fsck.vfat", "-n", f"{disk.device}p1")) and "FAT32" not in checked
        assert DONE in box.settle(INSTALL, work=own)


def test_a_disk_that_is_too_small_is_left_and_the_numbers_are_said(tmp_path: Path) -> None:
    with machine(tmp_path) as box:
        disk, before = box.disk(60), hashlib.sha256(bytes(60 * MIB)).hexdigest()
        said = box.settle(INSTALL)
        assert "no disk has 64 MiB" in said and "it has 60 MiB, and 64 are needed" in said
        assert "FAILED: nobody said which disk" in said and digest(disk) == before


def ntfs(disk: Disk) -> None:
    boot = bytearray(512)
    boot[:11], boot[510:] = b"\xeb\x52\x90NTFS    ", b"\x55\xaa"
    struct.pack_into("<HB", boot, 11, 512, 8)
    struct.pack_into("<B", boot, 21, 0xF8)
    struct.pack_into("<QQQ", boot, 40, disk.path.stat().st_size // 512 - 1, 4, 8)
    struct.pack_into("<bxxxbxxxQ", boot, 64, -10, 1, 0x1234)
    record = b"FILE" + struct.pack("<HH", 0x30, 3) + bytes(1016)
    write(disk, 0, bytes(boot))
    write(disk, 4 * 4096, record * 4)


def lvm(disk: Disk) -> None:
    """lib/format_text/layout.h of LVM2: `LABELONE` in the second sector, its CRC of what follows."""
    body = struct.pack("<I8s", 32, b"LVM2 001") + b"a" * 32
    body += bytes(512 - 20 - len(body))
    checksum = ~zlib.crc32(body, ~0xF597A6CF & 0xFFFFFFFF) & 0xFFFFFFFF
    write(disk, 512, b"LABELONE" + struct.pack("<QI", 1, checksum) + body)


def write(disk: Disk, place: int, data: bytes) -> None:
    with disk.path.open("r+b") as stream:
        stream.seek(place)
        stream.write(data)


def ext4(disk: Disk) -> None:
    sh("mkfs.ext4", "-q", "-L", "STATE", disk.device)


def luks(disk: Disk) -> None:
    write(disk, 0, b"LUKS\xba\xbe\x00\x01" + b"aes".ljust(32, b"\0") + bytes(4000))


def mbr(disk: Disk) -> None:
    entry = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0x83, b"\0\0\0", 2048, 8192)
    write(disk, 446, entry + bytes(48) + b"\x55\xaa")
    sh("mkfs.ext4", "-q", "-E", "offset=1048576", disk.device, "4M")


def strange(disk: Disk) -> None:
    sh("sgdisk", "-n", "1:0:+40M", "-c", "1:ESP", "-t", "1:ef00", "-n", "2:0:+20M", "-c", "2:TOWEROS", disk.device)
    sh("sgdisk", "-n", "3:0:+10M", "-c", "3:My photos", disk.device)


def namesake(disk: Disk) -> None:
    """A partition with our name, and with something else in it."""
    sh("sgdisk", "-n", "1:2048:+20M", "-c", "1:STATE", disk.device)
    write(disk, MIB, b"LUKS\xba\xbe\x00\x01" + b"aes".ljust(32, b"\0") + bytes(4000))


def an_esp(disk: Disk) -> None:
    sh("sgdisk", "-n", "1:2048:+40M", "-c", "1:ESP", "-t", "1:ef00", disk.device)


def garbage(disk: Disk) -> None:
    write(disk, 7 * MIB, random.Random(2).randbytes(MIB))
    write(disk, 0, random.Random(3).randbytes(MIB))


def damaged(disk: Disk) -> None:
    """Both headers of a table, and data behind it."""
    sh("sgdisk", "-n", "1:2048:+20M", "-c", "1:Data", disk.device)
    write(disk, MIB, b"precious")
    noise = random.Random(4).randbytes(512)
    write(disk, 512, noise)
    write(disk, disk.path.stat().st_size - 512, noise)


OTHERS: list[tuple[Callable[[Disk], None], str]] = [
    (ntfs, "it holds ntfs"),
    (lvm, "it holds LVM2_member"),
    (ext4, "it holds STATE ext4"),
    (luks, "it holds crypto_LUKS"),
    (mbr, "it holds dos, partition 1 (ext4)"),
    (strange, 'it holds partition 3 "My photos" (empty); ERASE'),
    (namesake, 'partition 1 "STATE" (crypto_LUKS)'),
    (an_esp, "neither TOWEROS nor STATE"),
    (garbage, "data that nothing here knows"),
    (damaged, "damaged in both copies"),
]


@pytest.mark.parametrize(("fill", "why"), OTHERS, ids=[fill.__name__ for fill, _ in OTHERS])
def test_a_disk_of_others_is_left_as_it_is_and_the_way_to_free_it_is_said(
    tmp_path: Path, fill: Callable[[Disk], None], why: str
) -> None:
    with machine(tmp_path) as box:
        disk = box.disk(120)
        fill(disk)
        sh("sync", disk.path)
        before = digest(disk)
        said = box.settle(INSTALL)
        assert why in said and f"ERASE {disk.name}, typed here, gives it free" in said, said
        assert "FAILED: nobody said which disk" in said
        assert digest(disk) == before
        # What is printed is no answer, should a line echo it; a name alone frees nothing.
        said = box.settle(INSTALL, typed=f"{said.splitlines()[1]}\n{disk.name}\n ERASE sdz \n")
        assert DONE not in said and "there is no disk sdz" in said and digest(disk) == before
        said = box.settle(INSTALL, typed=f"ERASE {disk.name}\n")
        assert f"{disk.name} is erased" in said and DONE in said, said
        whole(disk, tmp_path)


def test_a_disk_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    with machine(tmp_path) as box:
        disk = box.disk(120)
        said = box.settle(
            INSTALL, work='dd() { case "$*" in *of=*) command dd "$@" ;; *) false ;; esac; }; settle_disk'
        )
        assert DONE not in said and "FAILED" in said and digest(disk) == hashlib.sha256(bytes(120 * MIB)).hexdigest()


def test_two_disks_of_one_size_are_a_question_and_its_answer_is_kept_to(tmp_path: Path) -> None:
    with machine(tmp_path) as box:
        first, second = box.disk(120), box.disk(120)
        said = box.settle(INSTALL)
        assert "there are several largest disks" in said and "FAILED" in said
        said = box.settle(INSTALL, typed=f"nonsense\n\n/dev/{second.name}\n")
        assert "there is no disk nonsense" in said and f"{second.name} {DONE}" in said, said
        whole(second, tmp_path)
        assert digest(first) == hashlib.sha256(bytes(120 * MIB)).hexdigest()
        # The next start of the same medium decides the same by itself.
        assert f"{second.name} {DONE}" in box.settle(INSTALL)
        assert f"{second.name} {DONE}" in box.settle("toweros.install=ask")


@pytest.mark.parametrize("rule", ["largest", "smallest", "name", "path"])
def test_the_signed_words_choose_a_disk(tmp_path: Path, rule: str) -> None:
    with machine(tmp_path) as box:
        disks = {"tiny": box.disk(30), "smallest": box.disk(120), "path": box.disk(121), "largest": box.disk(130)}
        chosen = disks.get(rule, disks["path"])
        paths = f"by_path() {{ [ $1 = {chosen.name} ] && echo pci-0000:00:1f.2-ata-1; }}; settle_disk"
        word = {"name": f"/dev/{chosen.name}", "path": "/dev/disk/by-path/pci-0000:00:1f.2-ata-1"}.get(rule, rule)
        said = box.settle(f"toweros.install={word}", work=paths)
        assert f"{chosen.name} {DONE}" in said, said
        assert all(not any(disk.path.read_bytes()) for disk in disks.values() if disk is not chosen)


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0/block/sda", "pci-0000:00:1f.2-ata-3"),
        ("pci0000:00/0000:00:1c.0/0000:02:00.0/nvme/nvme0/nvme0n1", "pci-0000:02:00.0-nvme-1"),
        ("pci0000:00/0000:00:04.0/virtio1/block/vda", "pci-0000:00:04.0"),
        ("pci0000:00/0000:00:05.0/virtio2/host3/target3:0:1/3:0:1:0/block/sdb", "pci-0000:00:05.0-scsi-0:0:1:0"),
        (
            "pci0000:00/0000:00:14.0/usb2/2-3/2-3:1.0/host4/target4:0:0/4:0:0:0/block/sdc",
            "pci-0000:00:14.0-usb-0:3:1.0-scsi-0:0:0:0",
        ),
        ("platform/soc/mmc0/mmcblk0", ""),
    ],
)
def test_a_path_is_what_udev_calls_it(tmp_path: Path, device: str, name: str) -> None:
    real, block = tmp_path / "devices" / device, tmp_path / "block"
    real.mkdir(parents=True)
    block.mkdir()
    (block / real.name).symlink_to(real)
    said = Machine(tmp_path, tmp_path, [Disk(tmp_path / "none")]).settle(
        "", work=f"by_path {real.name}", BLOCK=str(block)
    )
    assert said.splitlines()[1:] == [*filter(None, [name]), "the end"]


def test_what_the_machine_was_started_from_is_no_disk_to_settle(tmp_path: Path) -> None:
    with machine(tmp_path) as box:
        stick, disk = box.disk(200), box.disk(120)
        ext4(stick)
        (tmp_path / "stick").mkdir()
        sh("mount", stick.device, tmp_path / "stick")
        try:
            said = box.settle(INSTALL, typed=f"ERASE {stick.name}\n")
        finally:
            sh("umount", tmp_path / "stick")
        assert f"{disk.name} {DONE}" in said and stick.name not in said


def test_no_answer_goes_on_with_the_disk_that_is_settled_and_else_starts_again(tmp_path: Path) -> None:
    """A medium that stays in the machine does not keep the box from starting."""
    with machine(tmp_path) as box:
        disk = box.disk(120)
        words = "toweros.install=ask"
        assert "FAILED: nobody said which disk" in box.settle(words)
        assert DONE in box.settle(words, typed=f"{disk.name}\n")
        assert DONE in box.settle(words)
        said = box.settle("toweros.install=sdz")
        assert "there is no disk sdz" in said and DONE in said


def test_whoever_sits_at_any_console_is_asked_and_the_first_answer_counts(tmp_path: Path) -> None:
    """With `console=tty0 console=ttyS0` the serial line is /dev/console, and somebody sits at the screen."""
    with machine(tmp_path) as box:
        disk = box.disk(120)
        screen, line = tmp_path / "screen", tmp_path / "line"
        line.write_text("")
        screen.write_text(f"{disk.name}\n")
        say = 'say() { echo "$*"; for screen in $SCREENS; do echo "$*" >>"$screen.said"; done; };'
        said = box.settle("toweros.install=ask", work=say + "settle_disk", CONSOLE=f"{screen} {line}")
        assert DONE in said, said
        assert "which disk?" in (tmp_path / "screen.said").read_text() and not (tmp_path / "line.said").exists()
    initrd("busybox sh", tmp_path, f"SCREENS={tmp_path}/screen; say to whoever looks")
    assert screen.read_text().endswith("initrd: to whoever looks\n")


def test_settling_again_keeps_state_and_makes_good_what_is_missing(tmp_path: Path) -> None:
    with machine(tmp_path) as box:
        disk = box.disk(120)
        box.settle(INSTALL)
        data, before = put_data(disk, tmp_path), disk.partitions()
        for spoil in ("", "TOWEROS", "ESP"):
            if spoil:
                write(disk, before[spoil][1] * MIB, bytes(64 * 1024))
                disk.again()
            said = box.settle(INSTALL)
            assert DONE in said, said
            whole(disk, tmp_path)
            assert disk.partitions() == before
            assert disk.files("STATE", tmp_path / "look")["precious"] == data


@pytest.mark.parametrize("copy", ["first", "last", "older"])
def test_of_two_tables_the_whole_one_counts(tmp_path: Path, copy: str) -> None:
    with machine(tmp_path) as box:
        disk = box.disk(120)
        box.settle(INSTALL)
        data, before = put_data(disk, tmp_path), disk.partitions()
        size = disk.path.stat().st_size
        if copy == "older":
            backup = disk.path.read_bytes()[size - 33 * 512 :]
            box.grow(disk, 140)
            write(disk, 140 * MIB - 33 * 512, backup)
            before = {**before, "STATE": (3, before["STATE"][1], before["STATE"][2] + 20)}
        else:
            write(disk, 512 if copy == "first" else size - 512, random.Random(5).randbytes(512))
        disk.again()
        said = box.settle(INSTALL)
        assert DONE in said, said
        assert disk.partitions() == before
        assert disk.files("STATE", tmp_path / "look")["precious"] == data


def test_a_state_that_came_alone_is_kept_and_the_rest_put_beside_it(tmp_path: Path) -> None:
    """How STATE moves to a new disk: docs/disks.md."""
    with machine(tmp_path) as box:
        disk = box.disk(160)
        sh("sgdisk", "-n", f"1:{100 * 2048}:0", "-c", "1:STATE", disk.device)
        sh("mkfs.ext4", "-q", disk.node("STATE"))
        data = put_data(disk, tmp_path)
        said = box.settle(INSTALL)
        assert DONE in said, said
        whole(disk, tmp_path)
        assert disk.files("STATE", tmp_path / "look")["precious"] == data
    with machine(tmp_path) as box:
        disk = box.disk(120)
        sh("sgdisk", "-n", f"1:{30 * 2048}:0", "-c", "1:STATE", disk.device)
        sh("mkfs.ext4", "-q", disk.node("STATE"))
        disk.again()
        before = digest(disk)
        assert "no room for ESP, which needs 34 MiB in one piece" in box.settle(INSTALL)
        assert digest(disk) == before


@pytest.mark.parametrize(
    ("rule", "places"),
    [
        ("20,rest", {"TOWEROS": (35, 20), "STATE": (55, 144)}),
        ("20,100", {"TOWEROS": (35, 20), "STATE": (55, 100)}),
        ("40,rest", {"TOWEROS": (159, 40), "STATE": (55, 104)}),
        ("rest,30", {"TOWEROS": (119, 80), "STATE": (55, 64)}),
        ("20,10", {"TOWEROS": (35, 20), "STATE": (55, 64)}),
        ("190,rest", {"TOWEROS": (35, 20), "STATE": (55, 144)}),
    ],
)
@pytest.mark.parametrize("medium", [True, False], ids=["by the medium", "by itself"])
def test_a_larger_disk_is_used_as_the_role_says(
    tmp_path: Path, rule: str, places: dict[str, tuple[int, int]], medium: bool
) -> None:
    """STATE is never moved; TOWEROS is, where it must."""
    with machine(tmp_path) as box:
        disk = box.disk(120)
        box.settle(INSTALL)
        data = put_data(disk, tmp_path)
        box.grow(disk, 200)
        disk.node("TOWEROS")
        words, work = f"toweros.disk={rule}", STARTS
        said = box.settle(f"{INSTALL} {words}") if medium else box.settle(words, work=work)
        assert {name: place[1:] for name, place in disk.partitions().items() if name != "ESP"} == places, said
        whole(disk, tmp_path)
        assert disk.files("STATE", tmp_path / "look")["precious"] == data
        for name, (_, size) in places.items():
            blocks = sh("dumpe2fs", "-h", disk.node(name)).split("Block count:")[1].split()[0]
            assert int(blocks) == size * 256


@pytest.mark.parametrize("rule", ["rest,rest", "4GiB,rest", "20", "20,,", "20,*"])
def test_a_rule_that_is_none_is_refused_and_an_installed_box_starts(tmp_path: Path, rule: str) -> None:
    with machine(tmp_path) as box:
        disk = box.disk(120)
        assert "FAILED: toweros.disk" in box.settle(f"{INSTALL} toweros.disk={rule}")
        assert not any(disk.path.read_bytes())
        box.settle(INSTALL)
        said = box.settle(f"toweros.disk={rule}", work=STARTS)
        assert "toweros.disk" in said and "the disk does not grow" in said and said.endswith("started\nthe end\n")


def tries(folder: Path) -> str:
    return (folder / "look/state/growing").read_text().split()[-1]


def test_a_disk_that_hangs_while_it_grows_holds_the_box_three_times_and_not_for_ever(tmp_path: Path) -> None:
    """The watchdog ends each: the box starts again, and would grow again."""
    with machine(tmp_path) as box:
        disk, words = box.disk(120), "toweros.disk=20,rest"
        box.settle(INSTALL)
        box.grow(disk, 200)
        hangs = "resize2fs() { kill -9 -$$; sleep 9; };" + STARTS
        for count in "123":
            assert "started" not in box.settle(words, work=hangs, cut=9999)
            disk.again()
            disk.files("TOWEROS", tmp_path / "look")
            assert tries(tmp_path) == count
        said = box.settle(words, work=hangs)
        assert "the disk does not grow: 3 tries of this release failed" in said and "started" in said, said
        said = box.settle(words, work=f"RELEASE={1:064};{STARTS}")
        assert "started" in said and "tries" not in said, said
        assert "state/growing" not in disk.files("TOWEROS", tmp_path / "look")
        assert disk.partitions()["STATE"][2] == 144


def test_a_state_that_a_box_found_by_its_label_before_it_had_its_name_keeps_its_data(tmp_path: Path) -> None:
    """Cut before the last step, the medium taken out, a TOWEROS that was there: mount-state takes what is called so."""
    with machine(tmp_path) as box:
        disk = box.disk(120)
        box.settle(INSTALL)
        data = put_data(disk, tmp_path)
        sh("sgdisk", "-c", "3:STATE-new", disk.device)
        disk.again()
        said = box.settle(INSTALL)
        assert DONE in said, said
        assert disk.files("STATE", tmp_path / "look")["precious"] == data


def test_where_nothing_is_to_grow_nothing_is_written(tmp_path: Path) -> None:
    with machine(tmp_path) as box:
        disk = box.disk(120)
        box.settle(INSTALL)
        said = box.settle("toweros.disk=20,rest", work="write_table() { echo written; };" + STARTS)
        assert "started" in said and "written" not in said and "grow" not in said, said
        assert "state/growing" not in disk.files("TOWEROS", tmp_path / "look")


@pytest.mark.parametrize("rule", ["toweros.disk=20,rest", ""], ids=["grows", "never grows"])
def test_a_table_whose_first_copy_was_cut_is_put_right_before_its_partitions_are_seen(
    tmp_path: Path, rule: str
) -> None:
    """The kernel reads the last copy only when it is told so, which nobody does."""
    with machine(tmp_path) as box:
        disk = box.disk(120)
        box.settle(INSTALL)
        before = disk.partitions()
        write(disk, 1024, random.Random(8).randbytes(512))
        disk.again()
        sh("partx", "-d", disk.device)
        said = box.settle(rule, work="sleep() { :; };" + STARTS, DISK_WAIT="60")
        if rule:
            assert "started" in said and "written once more" in said, said
            assert disk.partitions() == before
        else:
            assert "no partition is named TOWEROS" in said, said


def test_layers_that_take_the_rest_lie_last(tmp_path: Path) -> None:
    with machine(tmp_path) as box:
        disk = box.disk(200)
        box.settle(f"{INSTALL} toweros.disk=rest,30")
        assert {name: place[1:] for name, place in disk.partitions().items()} == {
            "ESP": (1, 34), "STATE": (35, 30), "TOWEROS": (65, 134),
        }  # fmt: skip


def test_the_mediums_key_counts_once_and_no_later_one_is_taken_back(tmp_path: Path) -> None:
    with machine(tmp_path) as box:
        disk, key = box.disk(120), box.medium / "identity" / "box.key"
        box.settle(INSTALL)
        assert "identity/box.key" not in disk.files("TOWEROS", tmp_path / "look")
        key.parent.mkdir()
        key.write_text("first")
        box.settle(INSTALL)
        assert disk.files("TOWEROS", tmp_path / "look")["identity/box.key"] == b"first"
        assert (tmp_path / "look/identity/box.key").stat().st_mode & 0o777 == 0o600
        (tmp_path / "later").write_text("later")
        node = disk.node("TOWEROS")
        sh("debugfs", "-w", "-R", "rm identity/box.key", node)
        sh("debugfs", "-w", "-R", f"write {tmp_path}/later identity/box.key", node)
        box.settle(INSTALL)
        assert disk.files("TOWEROS", tmp_path / "look")["identity/box.key"] == b"later"
        key.write_text("second")
        said = box.settle(INSTALL)
        assert disk.files("TOWEROS", tmp_path / "look")["identity/box.key"] == b"second"
        assert "second" not in said


def test_a_box_that_went_on_keeps_its_entries_and_an_older_one_gets_the_mediums(tmp_path: Path) -> None:
    with machine(tmp_path) as box:
        disk = box.disk(120)
        box.settle(INSTALL)
        lay_medium(box.medium, 3)
        box.settle(INSTALL)
        whole(disk, tmp_path)
        lay_medium(box.medium, 8)
        big = os.urandom(18 * MIB)
        (box.medium / "boot/EFI/Linux/toweros-8.efi").write_bytes(big)
        box.settle(INSTALL)
        lay_medium(box.medium, 9)
        (box.medium / "boot/EFI/Linux/toweros-9.efi").write_bytes(big)
        said = box.settle(INSTALL)
        assert "the entry toweros-5.efi makes room" in said and "the entry toweros-8.efi makes room" in said
        assert disk.files("ESP", tmp_path / "look")["EFI/Linux/toweros-9.efi"] == big


def test_a_failed_install_sends_no_entry_of_a_disk_behind_the_others(tmp_path: Path) -> None:
    """The medium's entry may have the name of a good one."""
    with machine(tmp_path) as box:
        box.disk(30)
        work = 'ENTRY=toweros-5.efi; fail() { echo "FAILED: $*, entry <$ENTRY>"; exit 1; }; settle_disk'
        assert "entry <>" in box.settle(INSTALL, work=work)


def test_without_the_signed_word_nothing_is_settled(tmp_path: Path) -> None:
    with machine(tmp_path) as box:
        disk = box.disk(120)
        assert box.settle("quiet install=largest").splitlines()[1:] == ["the end"]
        assert not any(disk.path.read_bytes())


def bios_medium(box: Machine, release: int = 5, grub: int = 7) -> dict[str, bytes]:
    """What an ISO that installs has for a BIOS; the images are random. Returns the files of the ESP that are for it."""
    lay_medium(box.medium, release)
    files = {
        "grub/grubenv": f"order={release}".encode(),
        "grub/good.cfg": b"good",
        f"EFI/Linux/toweros-{release}.efi.extra.d/grub.cfg": b"config",
    }
    images = {"boot.img": random.Random(6).randbytes(440), "core.img": random.Random(grub).randbytes(4096)}
    for path, data in {**images, **{f"esp/{path}": data for path, data in files.items()}}.items():
        (box.medium / "bios" / path).parent.mkdir(parents=True, exist_ok=True)
        (box.medium / "bios" / path).write_bytes(data)
    return files


BIOS = {"EFI": "/nowhere"}


def test_what_a_bios_starts_says_where_it_lies(tmp_path: Path) -> None:
    """GRUB's two images have the place of the core in them, in sectors; its core looks for the second partition."""
    with machine(tmp_path) as box:
        disk, files = box.disk(120), bios_medium(box)
        said = box.settle(INSTALL, **BIOS)
        assert DONE in said, said
        code, core = ((box.medium / "bios" / name).read_bytes() for name in ("boot.img", "core.img"))
        row = next(line.split() for line in sh("sgdisk", "--print", disk.device).splitlines() if " EF02 " in line)
        start, image = int(row[1]), disk.path.read_bytes()[:MIB]
        assert start >= 34 and int(row[2]) < 2048
        assert image[:440] == code[:92] + struct.pack("<Q", start) + code[100:440]
        assert image[start * 512 :][:4096] == core[:500] + struct.pack("<Q", start + 1) + core[508:]
        assert disk.partitions()["ESP"][0] == 2
        assert files.items() <= disk.files("ESP", tmp_path / "look").items()
        bios_medium(box, 3)
        assert DONE in box.settle(INSTALL, **BIOS)
        assert disk.files("ESP", tmp_path / "look")["grub/grubenv"] == b"order=5"


GOES_ON = bytes.fromhex("cd18f4ebfd")
"""The BIOS is asked for what it would start next: a medium, where one is."""


def leads_to(disk: Disk) -> str:
    """What a BIOS comes to: nothing that it would start, what starts next, or GRUB's core, by its hash."""
    image = disk.path.read_bytes()[:MIB]
    if image[510:512] != b"\x55\xaa":
        return "no boot sector"
    if image.startswith(GOES_ON):
        return "goes on"
    (core,) = struct.unpack_from("<Q", image, 92)
    assert struct.unpack_from("<Q", image, core * 512 + 500) == (core + 1,), "the rest of it lies elsewhere"
    whole = image[core * 512 :][:500] + image[core * 512 + 508 :][: 4096 - 508]
    return hashlib.sha256(whole).hexdigest()


def core_of(box: Machine) -> str:
    core = (box.medium / "bios" / "core.img").read_bytes()
    return hashlib.sha256(core[:500] + core[508:]).hexdigest()


def test_cut_at_any_step_a_bios_comes_to_a_whole_grub_or_goes_on_to_the_medium(tmp_path: Path) -> None:
    """A BIOS starts whatever has a boot sector, and a table has one: nobody would come to the medium behind it."""
    with machine(tmp_path) as box:
        disk, start, allowed = box.disk(120), box.memory / "start", ["no boot sector", "goes on"]
        for grub in (7, 8):
            bios_medium(box, 5, grub)
            disk.again()
            sh("cp", "--sparse=always", disk.path, start)
            assert DONE in box.settle(INSTALL, **BIOS)
            assert leads_to(disk) == core_of(box)
            for cut in ends(box, first=10 if grub == 7 else 0, last=8):
                disk.put(start)
                said = box.settle(INSTALL, cut=cut, **BIOS)
                assert leads_to(disk) in [*allowed, core_of(box)], f"{cut}: {said}"
            assert DONE in box.settle(INSTALL, **BIOS)
            allowed = [core_of(box)]
        before = disk.path.read_bytes()[64 * 512 : MIB]
        assert DONE in box.settle(INSTALL, **BIOS)
        assert disk.path.read_bytes()[64 * 512 : MIB] == before, "nothing is written where nothing is new"


def test_a_newer_grub_comes_by_a_medium_and_all_that_the_box_became_stays(tmp_path: Path) -> None:
    """docs/bios.md, "A newer GRUB": a disk of years ago, whose box went on to later releases, has data, a key of its
    own and tries that it counts."""
    with machine(tmp_path) as box:
        disk = box.disk(120)
        bios_medium(box, 5, grub=7)
        assert DONE in box.settle(INSTALL, **BIOS)
        assert leads_to(disk) == (old := core_of(box))
        lived = {"grub/grubenv": b"order=9 5 left_9=2", "EFI/Linux/toweros-9.efi": b"uki of the field"}
        for path, content in lived.items():
            (tmp_path / "file").write_bytes(content)
            sh("mcopy", "-o", "-i", disk.node("ESP"), tmp_path / "file", f"::{path}")
        (tmp_path / "key").write_text("made on the box")
        sh("debugfs", "-w", "-R", f"write {tmp_path}/key identity/box.key", disk.node("TOWEROS"))
        data = put_data(disk, tmp_path)
        bios_medium(box, 8, grub=8)
        said = box.settle(INSTALL, **BIOS)
        assert DONE in said, said
        assert leads_to(disk) == core_of(box) != old
        assert lived.items() <= disk.files("ESP", tmp_path / "look").items()
        assert disk.files("TOWEROS", tmp_path / "look")["identity/box.key"] == b"made on the box"
        assert disk.files("STATE", tmp_path / "look")["precious"] == data


def ends(box: Machine, first: int, last: int) -> list[int]:
    """The first and the last steps of the settle that was: between them are file systems, which other stories cut."""
    steps = int((box.folder / "run" / "count").read_text())
    return [*range(1, first + 1), *range(steps - last + 1, steps + 1)]


def test_layers_are_on_the_disk_before_it_can_start_by_itself(tmp_path: Path) -> None:
    """Cut between the names and the layers, with no server, a disk that the firmware starts first would never start."""
    with machine(tmp_path) as box:
        disk, start, found = box.disk(120), box.memory / "start", 0
        layers = {f"layers/{number:064x}": os.urandom(MIB) for number in range(3)}
        for path, data in layers.items():
            (box.medium / path).parent.mkdir(exist_ok=True)
            (box.medium / path).write_bytes(data)
        sh("cp", "--sparse=always", disk.path, start)
        assert DONE in box.settle(INSTALL)
        for cut in ends(box, first=0, last=8):
            disk.put(start)
            said = box.settle(INSTALL, cut=cut)
            if "TOWEROS" in disk.rows():
                assert layers.items() <= disk.files("TOWEROS", tmp_path / "look").items(), f"{cut}: {said}"
                found += 1
        assert found
        assert DONE in box.settle(INSTALL)
        (box.medium / f"layers/{9:064x}").write_bytes(bytes(30 * MIB))
        said = box.settle(INSTALL)
        assert "the layers of this release need 30 MiB on TOWEROS, and " in said and "cannot be filled" in said
        assert list(disk.partitions()) == NAMES


def test_with_uefi_nothing_of_a_bios_gets_onto_a_disk(tmp_path: Path) -> None:
    with machine(tmp_path) as box:
        disk = box.disk(120)
        bios_medium(box)
        assert DONE in box.settle(INSTALL)
        assert not any(disk.path.read_bytes()[:440])
        whole(disk, tmp_path)


def test_a_disk_that_a_bios_could_not_start_is_left_as_it_is(tmp_path: Path) -> None:
    """A medium without GRUB for a disk; a disk whose ESP is where GRUB does not look."""
    with machine(tmp_path) as box:
        disk = box.disk(120)
        assert "no disk is touched" in box.settle(INSTALL, **BIOS)
        assert not any(disk.path.read_bytes())
        box.settle(INSTALL)
        before = digest(disk)
        bios_medium(box)
        assert "whose second partition is the ESP" in box.settle(INSTALL, **BIOS)
        assert digest(disk) == before


@pytest.mark.parametrize(
    ("what", "kind"), [("empty", "torn"), ("kept", "torn"), ("larger", "torn"), ("larger", "lost")]
)
def test_cut_at_any_step_it_ends_well_the_next_time(tmp_path: Path, what: str, kind: str) -> None:
    """`torn`: half of what is written last. `lost`: all that no `sync` had brought to the disk."""
    with machine(tmp_path) as box:
        disk, start, data, words = box.disk(120), box.memory / "start", b"", INSTALL
        synced, losing = box.memory / "synced", {"TEARING": "yes"} if kind == "torn" else {"LOSING": "yes"}
        if what != "empty":
            box.settle(words)
            data = put_data(disk, tmp_path)
        if what == "kept":
            write(disk, disk.partitions()["TOWEROS"][1] * MIB, bytes(64 * 1024))
        if what == "larger":
            box.grow(disk, 200)
            words += " toweros.disk=40,rest"
        disk.again()
        sh("cp", "--sparse=always", disk.path, start)
        for cut in range(1, 200, EVERY):
            disk.put(start)
            sh("cp", "--sparse=always", start, synced)
            said = box.settle(words, cut=cut, SYNCED=str(synced), **losing)
            if "cut: " not in said:
                assert DONE in said, said
                break
            if kind == "lost":
                disk.put(synced)
            again = box.settle(words)
            assert DONE in again, f"{cut}: {said}\n{again}"
            whole(disk, tmp_path)
            assert not data or disk.files("STATE", tmp_path / "look")["precious"] == data, f"{cut}: {said}"
        assert cut > 20


def test_a_box_that_is_cut_at_any_step_while_its_disk_grows_starts_the_next_time(tmp_path: Path) -> None:
    """By itself, without a medium: the kernel sees what the first copy of the table says, and nothing else."""
    with machine(tmp_path) as box:
        disk, start, words = box.disk(120), box.memory / "start", "toweros.disk=40,rest"
        box.settle(INSTALL)
        data = put_data(disk, tmp_path)
        box.grow(disk, 200)
        sh("cp", "--sparse=always", disk.path, start)
        work, mended = "sleep() { :; };" + STARTS, 0
        for cut in range(1, 200, EVERY):
            disk.put(start)
            said = box.settle(words, work=work, cut=cut, TEARING="yes", DISK_WAIT="60")
            if "cut: " not in said:
                break
            disk.again()
            said = box.settle(words, work=work, DISK_WAIT="60")
            assert "started" in said, (cut, said)
            mended += "written once more" in said
            assert disk.files("STATE", tmp_path / "look")["precious"] == data
            whole(disk, tmp_path)
        assert "started" in said and mended
        assert disk.partitions()["TOWEROS"][2] == 40
