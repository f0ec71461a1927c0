"""Full disks, no inodes, read-only media: refused before anything is written, reported, the running release untouched.

The disks are file systems of their own, as small as the story needs.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from toweros_agent.host import room
from toweros_agent.nouns import Refused
from toweros_agent.outgoing import identity

from tests.simulators.box import SIGNED, Box, Made, State, drive, make
from tests.simulators.update_server import UpdateServer, truncated

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
MIB = 1 << 20
Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a file system in memory."""
    mounted: list[Path] = []

    def do(folder: Path, options: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "room", folder], check=True)
        mounted.append(folder)
        return folder

    yield do
    for folder in reversed(mounted):
        subprocess.run(["umount", "-l", folder], check=True)


def offer(server: UpdateServer, made: Made) -> None:
    for root, data in made.blobs.items():
        server.add_layer(data, root)
    server.publish(made.document, made.uki, made.addon)


def another(sequence: int = 8) -> Made:
    return make(sequence, service=b"two", uki=SIGNED + b"kernel %d" % sequence, probation=0)


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer, mount: Mount, monkeypatch: pytest.MonkeyPatch) -> Box:
    """A box whose TOWEROS has 40 MiB, and its ESP 3. The memory stands for a disk."""
    monkeypatch.setattr(identity, "in_memory", lambda folder: False)
    mount(tmp_path / "run" / "disk", "size=40m,nr_inodes=400")
    mount(tmp_path / "run" / "esp", "size=3m")
    made = Box(tmp_path, server.url, server.root)
    made.install(make(7, probation=0))
    return made


def fill(folder: Path, leave: int = 0) -> Path:
    """Take all that is free but `leave` bytes."""
    about, file = os.statvfs(folder), folder / "filler"
    with file.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, about.f_bavail * about.f_frsize - leave)
    return file


def tried(box: Box, server: UpdateServer) -> dict[str, object]:
    """What the box says after it looked at the offer; what it runs is as it was."""
    before = {path: path.stat().st_mtime_ns for path in (*box.linux.rglob("*"), *(box.disk / "layers").iterdir())}
    agent = box.power_on()
    assert agent
    for _ in range(12):
        agent.step()
        if agent.error and agent.state == State.IDLE:
            break
    assert box.rebooted == 0 and agent.state == State.IDLE
    after = {path: path.stat().st_mtime_ns for path in (*box.linux.rglob("*"), *(box.disk / "layers").iterdir())}
    assert {path: moment for path, moment in after.items() if path in before and path.is_file()} == {
        path: moment for path, moment in before.items() if path.is_file()
    }
    assert box.bootable() == [7]
    return box.report(server)


def takes_it(box: Box) -> None:
    agent = box.power_on()
    assert agent
    drive(agent, State.REBOOTING)
    again = box.power_on()
    assert again and again.boot.sequence == 8


def test_a_full_towers_takes_nothing_says_so_and_goes_on_when_there_is_room(box: Box, server: UpdateServer) -> None:
    offer(server, another())
    filler = fill(box.disk)
    report = tried(box, server)
    assert any("no space on TOWEROS" in each for each in report["degraded"]), report  # type: ignore[attr-defined]
    assert "space" in str(report["error"]).lower()
    filler.unlink()
    takes_it(box)


def test_a_towers_too_small_for_the_release_is_not_written_to(box: Box, server: UpdateServer) -> None:
    offer(server, another())
    fill(box.disk, leave=16 * MIB)
    report = tried(box, server)
    assert "no space on TOWEROS: 32 MiB needed, " in str(report["error"])
    assert not list((box.disk / "layers").glob("*.part"))
    assert not [each for each in report["degraded"] if "TOWEROS" in each]  # type: ignore[attr-defined]


def test_used_up_inodes_are_no_room_either(box: Box, server: UpdateServer) -> None:
    offer(server, another())
    junk = box.disk / "junk"
    junk.mkdir()
    for number in range(os.statvfs(box.disk).f_favail - 20):
        (junk / str(number)).touch()
    report = tried(box, server)
    assert "no space on TOWEROS: 64 more files needed" in str(report["error"])
    for path in junk.iterdir():
        path.unlink()
    takes_it(box)


def test_a_full_esp_takes_no_entry(box: Box, server: UpdateServer) -> None:
    offer(server, another())
    filler = fill(box.esp, leave=MIB // 2)
    report = tried(box, server)
    # A page less than was left: the copy of the box's key came after that.
    assert "no space on the ESP: 1 MiB needed, 508 KiB free" in str(report["error"])
    assert box.entries() == ["toweros-7.efi"]
    assert not list((box.disk / "layers").glob("*.part")), "nothing was fetched in vain"
    assert len(list((box.disk / "layers").iterdir())) == 3
    filler.unlink()
    takes_it(box)


def test_a_disk_that_became_read_only_is_named_and_the_box_goes_on_reporting(box: Box, server: UpdateServer) -> None:
    offer(server, another())
    subprocess.run(["mount", "-o", "remount,ro", box.disk], check=True)
    report = tried(box, server)
    named = "TOWEROS is read-only: the disk has errors, or the file system has"
    assert named in report["degraded"] and report["health"] == "Degraded"  # type: ignore[operator]
    subprocess.run(["mount", "-o", "remount,rw", box.disk], check=True)
    takes_it(box)


def test_a_full_state_is_reported_and_keeps_no_release_away(box: Box, server: UpdateServer, mount: Mount) -> None:
    offer(server, another())
    fill(mount(box.places.state, "size=8m"))
    agent = box.power_on()
    assert agent
    drive(agent, State.REBOOTING)
    agent.send_report()
    said = box.report(server)["degraded"]
    assert "no space on STATE: 4 MiB needed, 0 KiB free" in said  # type: ignore[operator]


def test_a_read_only_view_of_a_good_file_system_is_no_trouble(tmp_path: Path, mount: Mount) -> None:
    state, view = mount(tmp_path / "state", "size=8m"), tmp_path / "view"
    view.mkdir()
    subprocess.run(["mount", "--bind", state, view], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", view], check=True)
        assert room.trouble("STATE", view) == ""
    finally:
        subprocess.run(["umount", view], check=True)


@pytest.mark.parametrize("options", ["size=8m,nr_inodes=9", "size=8m,ro"])
def test_a_state_without_inodes_or_read_only_is_trouble(tmp_path: Path, mount: Mount, options: str) -> None:
    assert "STATE" in room.trouble("STATE", mount(tmp_path / "state", options))


def test_a_state_that_is_gone_is_no_file_system_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mountinfo").write_text("22 1 0:20 / / ro,relatime shared:1 - overlay overlay ro,lowerdir=x\n")
    monkeypatch.setattr(room, "MOUNTS", tmp_path / "mountinfo")
    assert room.trouble("STATE", tmp_path / "state") == ""


def test_who_cannot_be_asked_is_said(tmp_path: Path) -> None:
    assert "STATE cannot be asked" in room.trouble("STATE", tmp_path / "nothing")
    with pytest.raises(Refused, match="no space on here"):
        room.demand("here", tmp_path, 1 << 60)


def test_commit_after_commit_leaves_a_disk_as_large_as_after_the_first_few(box: Box, server: UpdateServer) -> None:
    sizes: list[int] = []
    agent = box.power_on()
    for number in range(8, 20):
        made = make(number, service=b"commit %d" % number, uki=SIGNED + b"kernel %d" % number, probation=0)
        offer(server, made)
        assert agent
        drive(agent, State.REBOOTING)
        agent = box.power_on()
        assert agent and agent.boot.sequence == number
        drive(agent, State.IDLE)
        sizes.append(sum(path.stat().st_size for path in box.root.rglob("*") if path.is_file()))
    files = sum(path.is_file() for folder in (box.disk, box.esp) for path in folder.rglob("*"))
    assert max(sizes[4:]) <= max(sizes[:4]) + 4096 and files < 60


def test_the_report_says_what_the_disk_holds_and_what_stays_on_it(
    box: Box, server: UpdateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the file systems' blocks, which stay the same whatever is written; and by the release to go back to."""
    assert (sent(box, server)["room"], "memory is no disk of a box") == (None, "memory is no disk of a box")
    disks = {box.places.run / "disk": "ext4", box.places.run / "esp": "vfat"}
    rows = "".join(f"22 1 0:20 / {folder} rw - {kind} none rw\n" for folder, kind in disks.items())
    (tmp_path / "mountinfo").write_text(rows)
    monkeypatch.setattr(room, "MOUNTS", tmp_path / "mountinfo")
    said = sent(box, server)["room"]
    assert said == {"toweros": 40 * MIB, "esp": 3 * MIB, "back": ""}
    fill(box.places.run / "disk", leave=1 << 20)
    assert sent(box, server)["room"] == said


def sent(box: Box, server: UpdateServer) -> dict[str, object]:
    agent = box.power_on()
    assert agent
    agent.send_report()
    return box.report(server)


def test_halves_of_what_was_replaced_while_it_came_do_not_stay(box: Box, server: UpdateServer) -> None:
    """A kernel is 19 MB: on a bad line, and with a commit a day, they were all that a disk has room for."""
    for sequence in (8, 9):
        made = another(sequence)
        offer(server, made)
        server.faults = {path: truncated for path in server.files if path.endswith(".uki.efi")}
        agent = box.power_on()
        assert agent
        agent.http.pause = lambda _: None
        drive(agent, State.STAGING)
        agent.step()
        assert agent.state == State.IDLE and "uki" in agent.error
        assert [path.stem for path in agent.disk.state.glob("*.part")] == [sha256(made.uki).hexdigest()]
    server.faults = {}
    agent = box.power_on()
    assert agent
    drive(agent, State.REBOOTING)
    assert list(agent.disk.state.glob("*.part")) == []
