"""`TOWEROS`, and what the box remembers there: what lasts, what is bounded, what is put aside."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from toweros_agent.host import memory
from toweros_agent.host.disk import HEADROOM, LAST_LINES, MAX_LOG, Disk, last_lines, take_crash, write
from toweros_agent.host.memory import MAX_FAILURES, MAX_RESETS, Memory, path_of
from toweros_agent.host.verity import tree_size
from toweros_agent.nouns import Failure, Layer, Refused, Release, Reset, Staged, Verdict
from toweros_agent.rules import Cut

from tests.simulators.box import make


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_a_file_is_on_the_disk_before_it_has_its_name_and_then_its_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = tmp_path / "memory.json", os.fsync
    path.write_bytes(b"old")
    synced: list[tuple[str, bytes, bytes]] = []

    def fsync(handle: int) -> None:
        real(handle)
        file = Path(f"/proc/self/fd/{handle}").readlink()
        synced.append((file.name, file.read_bytes() if file.is_file() else b"", path.read_bytes()))

    monkeypatch.setattr(os, "fsync", fsync)
    write(path, b"new")
    assert synced == [("memory.json.new", b"new", b"old"), (tmp_path.name, b"", b"new")]
    assert [each.name for each in tmp_path.iterdir()] == ["memory.json"]
    handles = len([*Path("/proc/self/fd").iterdir()])
    write(path, b"newer")
    assert len([*Path("/proc/self/fd").iterdir()]) == handles


@pytest.mark.parametrize(("less", "fits"), [(0, True), (4096, False)])
def test_what_is_fetched_leaves_room_on_the_disk(
    disk: Disk, less: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = (HEADROOM + 40960 - less) // 4096
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=free, f_frsize=4096, f_files=0))
    again = Disk(disk.root)
    if fits:
        again.demand(40960)
    else:
        with pytest.raises(Refused, match="no space on TOWEROS"):
            again.demand(40960)


def test_of_a_log_its_last_lines_are_told_and_no_more_of_it_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_lines(log) == ""
    log.write_bytes(b"first\n" + b"".join(b"%d\n" % number for number in range(99)) + b"\xff")
    assert last_lines(log).splitlines() == [*map(str, range(99 - LAST_LINES + 1, 99)), "\ufffd"]
    log.write_bytes(b"x" * (3 * MAX_LOG))
    assert len(last_lines(log)) == MAX_LOG


def test_what_the_kernel_left_is_taken_once_the_newest_part_of_it(tmp_path: Path) -> None:
    assert take_crash(tmp_path) == "" == take_crash(tmp_path / "none")
    for name in ("dmesg-efi-1", "dmesg-efi-2", "console-1"):
        (tmp_path / name).write_text(name)
    (tmp_path / "dmesg-efi-0").mkdir()  # which cannot be removed
    assert take_crash(tmp_path) == "dmesg-efi-2"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["console-1", "dmesg-efi-0"]


def test_a_layer_is_there_when_all_of_its_bytes_are(disk: Disk) -> None:
    layer = Layer("a" * 64, 8192)
    whole = 8192 + tree_size(8192)
    for size, there in ((0, False), (8192, False), (whole - 1, False), (whole, True), (whole + 1, False)):
        disk.layer(layer).write_bytes(bytes(size))
        assert disk.has(layer) is there
    assert not disk.has(Layer("b" * 64, 8192))


def test_a_release_is_read_back_or_is_none(disk: Disk) -> None:
    made = make(7)
    release = Release.parse(made.document)
    assert disk.read_release(release.digest) is None
    disk.add_release(made.document, release)
    assert disk.read_release(release.digest) == release
    (disk.releases / f"{release.digest}.json").write_text("{")
    assert disk.read_release(release.digest) is None


def test_half_a_download_stays_as_long_as_it_is_wanted(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(7)
    disk.add_release(made.document, Release.parse(made.document))
    wanted, gone = Layer("c" * 64, 4096), Layer("d" * 64, 4096)
    for name in (f"{wanted.root}.part", f"{gone.root}.part", gone.root):
        (disk.layers / name).touch()
    synced, real = list[str](), os.fsync

    def fsync(handle: int) -> None:
        real(handle)
        synced.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        assert len([*disk.layers.iterdir()]) == 3, "the release that names them is gone for good before they are"

    monkeypatch.setattr(os, "fsync", fsync)
    disk.collect([], downloads=[wanted])
    assert [path.name for path in disk.layers.iterdir()] == [f"{wanted.root}.part"]
    assert synced == ["releases"] and [*disk.releases.iterdir()] == []


def test_the_log_of_a_boot_is_on_the_disk_line_by_line_and_has_a_largest_size(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, synced, real = disk.state / "boot-7.log", list[bytes](), os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (real(handle), synced.append(log.read_bytes())))
    disk.log(7, "one")
    disk.log(7, "two")
    assert synced == [b"one\n", b"one\ntwo\n"]
    log.write_bytes(b"x" * MAX_LOG)
    disk.log(7, "kept whole")
    assert log.stat().st_size == MAX_LOG + 11
    disk.log(7, "three")
    assert log.stat().st_size == MAX_LOG // 2 + 6 and log.read_bytes().endswith(b"kept whole\nthree\n")
    log.unlink()
    log.mkdir()
    disk.log(7, "a disk that takes nothing loses the line")


def test_a_release_tells_why_it_gave_up_and_how_far_it_came_and_forgets_both(disk: Disk) -> None:
    assert disk.why(8) == ("", "") and not disk.in_trial(8)
    disk.log(8, "starting --settle--> idle")
    assert disk.why(8) == ("", "starting --settle--> idle") and not disk.in_trial(8)
    (disk.state / "why-8").write_text(" no disk \n")
    disk.log(8, "starting --begin_trial--> probation")
    assert disk.in_trial(8) and not disk.in_trial(9)
    why, log = disk.why(8)
    assert why == "no disk" and log.endswith("probation\nno disk")
    disk.forget(8)
    disk.forget(8)
    assert disk.why(8) == ("", "") and [*disk.state.iterdir()] == []


# --- the memory ---


def full() -> Memory:
    count = 2 * MAX_FAILURES
    failures = [Failure(n, "r", "c", "u", Verdict.FAILED, "x", n, "log") for n in range(count)]
    resets = [Reset(n, n, "hung", "one", "two") for n in range(2 * MAX_RESETS)]
    staged = {n: Staged(n, "r", "c", "u", "a") for n in (7, 8)}
    names = [f"c{n}" for n in range(count)]
    retried, numbers = {name: ["ada: x"] for name in names}, dict(zip(names, range(count), strict=True))
    return Memory(staged, failures, {"bytes": 5}, 9, resets, retried, numbers, dict(numbers))


def test_what_is_remembered_is_read_back_and_of_each_kind_only_the_newest() -> None:
    before = full()
    again = Memory.parse(before.encode())
    assert (again.staged, again.fetched, again.time) == (before.staged, {"bytes": 5}, 9)
    assert again.failures == before.failures[-MAX_FAILURES:] and again.resets == before.resets[-MAX_RESETS:]
    for name in ("retried", "cuts", "cut_at"):
        assert getattr(again, name) == dict([*getattr(before, name).items()][-MAX_FAILURES:])
    assert (again.cut("c15"), again.cut("nothing")) == (Cut(15, 15), Cut())
    assert Memory.parse(again.encode()) == again


@pytest.mark.parametrize(("number", "read"), [(3, False), (4, True), (5, True), (99, True)])
def test_a_memory_of_a_newer_agent_is_read_and_one_that_is_too_old_is_not(
    number: int, read: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "FORMAT", 5)
    document = json.loads(full().encode()) | {"format": number, "later": 5}
    document["staged"][0]["later"] = 5
    if read:
        assert Memory.parse(json.dumps(document).encode()).time == 9
    else:
        with pytest.raises(ValueError, match="memory format 3"):
            Memory.parse(json.dumps(document).encode())


def test_a_memory_of_before_has_none_of_what_came_later() -> None:
    document = json.loads(full().encode())
    later = ("resets", "retried", "cuts", "cut_at", "served", "early", "spent", "vetoed")
    for name in later:
        document.pop(name, None)
    read = Memory.parse(json.dumps(document).encode())
    assert [getattr(read, name) for name in later] == [[], {}, {}, {}, 0, "", 0, 0]


def test_a_memory_that_cannot_be_read_is_put_aside_and_told(disk: Disk) -> None:
    assert Memory.load(disk) == (Memory(), "")
    write(path_of(disk), full().encode())
    read, problem = Memory.load(disk)
    assert (read.time, problem) == (9, "")
    path_of(disk).write_text("{")
    read, problem = Memory.load(disk)
    assert read == Memory() and problem.startswith("the memory was unreadable and is put aside: JSONDecodeError")
    assert (disk.state / "memory.bad").read_text() == "{" and Memory.load(disk) == (Memory(), "")
