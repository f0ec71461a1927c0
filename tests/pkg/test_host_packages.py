"""What the host's own containers do, without a box: their scripts under busybox, on files and small trees."""

import hashlib
import subprocess
import time
from pathlib import Path

import pytest

from gitops.fleet.linuxkit.spec import load
from gitops.source import FolderTree

CHECKOUT = Path(__file__).resolve().parents[2]
MIB = 2**20
DISK = 100 * MIB
KEEP = "init/files/usr/lib/toweros/keep"
LIMIT = 256 * 1024


def sh(script: str, *arguments: str | Path, **options) -> subprocess.CompletedProcess[bytes]:
    """A script of a package, with the shell and the programs that it has on a box."""
    command = ["busybox", "sh", CHECKOUT / "pkg" / script, *arguments]
    return subprocess.run(command, capture_output=True, timeout=120, **options)


# --- format: an empty disk becomes STATE, once ---


def disk(path: Path, size: int = DISK, at: int = 0, data: bytes = b"") -> Path:
    with path.open("wb") as stream:
        stream.truncate(size)
        stream.seek(at)
        stream.write(data)
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def label(path: Path) -> str:
    found = subprocess.run(["blkid", "-p", "-o", "value", "-s", "LABEL", path], capture_output=True, text=True)
    return found.stdout.strip()


def format_state(*disks: Path) -> str:
    done = sh("format/files/usr/bin/format-state", *disks)
    assert done.returncode == 0, done
    return done.stdout.decode()


def test_an_empty_disk_is_formatted_once(tmp_path: Path) -> None:
    empty = disk(tmp_path / "a", DISK + 512)
    assert "becomes STATE" in format_state(empty)
    assert label(empty) == "STATE"
    assert subprocess.run(["e2fsck", "-fn", empty], capture_output=True).returncode == 0
    assert empty.read_bytes()[-512:] == bytes(512), "the mark of a format under way is gone"
    before = digest(empty)
    assert "STATE already" in format_state(empty)
    assert digest(empty) == before


def mbr(path: Path) -> None:
    path.write_bytes(bytes(446) + bytes.fromhex("80202100830c0a05000800000040000000") + bytes(47) + b"\x55\xaa")


def gpt(path: Path) -> None:
    subprocess.run(["sgdisk", "--new=1:2048:+8M", "--change-name=1:data", path], check=True, capture_output=True)


def no_first_table(path: Path) -> None:
    gpt(path)
    with path.open("r+b") as stream:
        stream.write(bytes(MIB))


def ext4(path: Path) -> None:
    subprocess.run(["mkfs.ext4", "-q", "-F", "-L", "photos", path], check=True)


def swap(path: Path) -> None:
    subprocess.run(["mkswap", path], check=True, capture_output=True)


def luks(path: Path) -> None:
    path.write_bytes(b"LUKS\xba\xbe\x00\x02")


@pytest.mark.parametrize("make", [mbr, gpt, no_first_table, ext4, swap, luks])
def test_a_disk_with_a_table_or_a_file_system_is_left_alone(tmp_path: Path, make) -> None:
    used = disk(tmp_path / "used")
    make(used)
    with used.open("r+b") as stream:
        stream.truncate(DISK)
    before = digest(used)
    assert "neither a STATE nor an empty disk" in format_state(used)
    assert digest(used) == before


@pytest.mark.parametrize(
    "at", [0, 5000, 16 * MIB - 1, DISK - 1, DISK - 16 * MIB, DISK // 65 * 32 // (MIB // 4) * MIB // 4]
)
def test_a_disk_with_one_byte_is_left_alone(tmp_path: Path, at: int) -> None:
    used = disk(tmp_path / "used", at=at, data=b"x")
    before = digest(used)
    format_state(used)
    assert digest(used) == before


def test_what_is_too_small_or_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    small = disk(tmp_path / "small", 10 * MIB)
    format_state(small, tmp_path / "nothing")
    assert label(small) == ""


def test_where_there_is_a_state_no_other_disk_is_formatted(tmp_path: Path) -> None:
    state, empty = disk(tmp_path / "state"), disk(tmp_path / "empty")
    subprocess.run(["mkfs.ext4", "-q", "-F", "-L", "STATE", state], check=True)
    assert "STATE already" in format_state(empty, state)
    assert label(empty) == ""


def test_only_one_disk_is_formatted_and_never_the_used_one(tmp_path: Path) -> None:
    used, first, second = disk(tmp_path / "0", at=9, data=b"x"), disk(tmp_path / "1"), disk(tmp_path / "2")
    format_state(used, first, second)
    assert [label(path) for path in (used, first, second)] == ["", "STATE", ""]


def test_a_format_that_the_power_cut_short_is_done_again(tmp_path: Path) -> None:
    half = disk(tmp_path / "half", at=DISK - 512, data=b"TowerOS formats this disk")
    subprocess.run(["mkfs.ext4", "-q", "-F", "-L", "STATE", half, "50m"], check=True)
    with half.open("r+b") as stream:
        stream.seek(2 * MIB)
        stream.write(b"\xff" * MIB)
    assert "becomes STATE" in format_state(half)
    assert subprocess.run(["e2fsck", "-fn", half], capture_output=True).returncode == 0


# --- sysctl and sysfs ---


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_the_kernels_parameters_are_set_in_the_order_of_the_files(tmp_path: Path) -> None:
    root = tree(tmp_path, {
        "usr/lib/sysctl.d/00-ours.conf": "# ours\nkernel.one = 1\nnet.ipv4.conf.eth0/7.two=2\n",
        "usr/lib/sysctl.d/50-gone.conf": "kernel.one = 5\n",
        "etc/sysctl.d/50-gone.conf": "; the box's own, of the same name\n",
        "etc/sysctl.d/60-box.conf": "  kernel/three =  a | b  \n-kernel.not.there = 1",
        "proc/sys/kernel/one": "", "proc/sys/net/ipv4/conf/eth0.7/two": "", "proc/sys/kernel/three": "",
    })  # fmt: skip
    done = sh("sysctl/files/usr/bin/apply-sysctl", root)
    assert (done.returncode, done.stdout) == (0, b"")
    values = [root / "proc/sys" / name for name in ("kernel/one", "net/ipv4/conf/eth0.7/two", "kernel/three")]
    assert [path.read_text() for path in values] == ["1\n", "2\n", "a | b\n"]


def test_a_parameter_that_cannot_be_set_is_named_and_the_rest_is_set(tmp_path: Path) -> None:
    text = "kernel.typo = 1\nwhat is this\nkernel.one = 1\n"
    root = tree(tmp_path, {"etc/sysctl.d/a.conf": text, "proc/sys/kernel/one": ""})
    done = sh("sysctl/files/usr/bin/apply-sysctl", root)
    assert done.returncode == 1
    assert b"this kernel has no kernel/typo" in done.stdout and b"`what is this`" in done.stdout
    assert (root / "proc/sys/kernel/one").read_text() == "1\n"


def test_our_own_parameters_are_those_of_a_kernel(tmp_path: Path) -> None:
    """Every key without a `-` is one that this machine's kernel has too; the file itself has no mistakes."""
    ours = (CHECKOUT / "pkg/sysctl/files/usr/lib/sysctl.d/00-toweros.conf").read_text()
    keys = [line.split("=")[0].strip() for line in ours.splitlines() if "=" in line and not line.startswith("#")]
    assert "kernel.kptr_restrict" in keys and "net.ipv4.conf.all.rp_filter" in keys
    for key in keys:
        assert key.startswith("-") or Path("/proc/sys", key.replace(".", "/")).exists(), key


def test_values_below_sys_are_set_and_nothing_else(tmp_path: Path) -> None:
    text = "# a governor\ndevices/cpu0/governor = performance\n/sys/one=1\n../etc/passwd = x\nmissing = 1\n"
    files = {"etc/sysfs.d/a.conf": text, "sys/devices/cpu0/governor": "", "sys/one": "", "etc/passwd": "root"}
    root = tree(tmp_path, files)
    done = sh("sysfs/files/usr/bin/apply-sysfs", root)
    assert done.returncode == 1
    assert done.stdout == b"sysfs: ../etc/passwd leaves /sys\nsysfs: missing cannot be set to 1\n"
    found = [(root / name).read_text() for name in ("sys/devices/cpu0/governor", "sys/one", "etc/passwd")]
    assert found == ["performance\n", "1\n", "root"]
    assert sh("sysfs/files/usr/bin/apply-sysfs", tmp_path / "empty").returncode == 0


def test_the_random_pool_is_ready_after_one_feed() -> None:
    assert sh("rngd/files/usr/bin/start-rngd", "-1").returncode == 0


# --- logs ---


@pytest.mark.parametrize("line", [b"one line of a chatty service\n", b"no end of line "])
def test_a_log_keeps_the_newest_and_never_more_than_its_bounds(tmp_path: Path, line: bytes) -> None:
    said = b"".join(line + str(number).encode() for number in range(100_000))
    log = tmp_path / "chatty.log"
    assert sh(KEEP, log, input=said).returncode == 0
    kept = (tmp_path / "chatty.log.1").read_bytes() + log.read_bytes()
    assert LIMIT <= len(kept) <= 2 * LIMIT and said.endswith(kept)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chatty.log", "chatty.log.1"]


def test_a_service_that_starts_again_goes_on_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    for said in (b"one\n", b"", b"two\n"):
        assert sh(KEEP, log, input=said).returncode == 0
    assert log.read_bytes() == b"one\ntwo\n"


def test_a_line_is_in_the_log_as_soon_as_it_is_said(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    keep = subprocess.Popen(["busybox", "sh", CHECKOUT / "pkg" / KEEP, log], stdin=subprocess.PIPE)
    assert keep.stdin
    keep.stdin.write(b"ready\n")
    keep.stdin.flush()
    deadline = time.monotonic() + 20
    while not (log.exists() and log.read_bytes()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert log.read_bytes() == b"ready\n"
    keep.stdin.close()
    assert keep.wait(20) == 0


@pytest.mark.parametrize("place", ["/dev/full", "/no/such/folder/log"])
def test_where_there_is_no_room_a_service_is_read_all_the_same(tmp_path: Path, place: str) -> None:
    log = tmp_path / "link"
    log.symlink_to(place)
    assert sh(KEEP, log if place == "/dev/full" else place, input=b"x" * 3_000_000).returncode == 0


# --- the specs ---


def spec(*names: str):
    problems: list = []
    found = load(FolderTree(CHECKOUT), [f"boot/{name}.yml" for name in names], problems)
    assert problems == []
    return found


def test_a_field_box_has_the_full_kernel_and_formats_nothing() -> None:
    box = spec("oc-minimal", "box")
    assert box.kernel == "@pkg:pkg/kernel-full"
    assert [container.name for container in box.onboot] == ["sysctl", "sysfs", "rngd1", "mount"]


def test_a_virtual_machine_formats_before_it_mounts() -> None:
    assert [container.name for container in spec("oc-minimal", "vm").onboot][-2:] == ["format", "mount"]


def test_no_spec_opens_the_console() -> None:
    (getty,) = [container for container in spec("oc-minimal", "vm").services if container.name == "getty"]
    assert not getty.settings.get("env")
