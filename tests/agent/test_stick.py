"""A stick that is plugged into a running box: found by itself, read without being mounted, proven, and told to people.

What is signed, and what is refused of it, is test_bundle.py's; here is what is about the stick.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from toweros_agent import deadlines
from toweros_agent.loop import Agent
from toweros_agent.machine import State
from toweros_agent.nouns import Refused
from toweros_agent.plugged import command

from gitops.noc import bundles
from gitops.noc.media.medium import Medium
from gitops.noc.origin import Origin
from tests.kit.nocs import box_at, offer, release, settle
from tests.kit.sticks import plug_in, pull_out, stick
from tests.simulators.box import Box, Made, drive
from tests.simulators.update_server import UpdateServer

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def box(server: UpdateServer, tmp_path: Path) -> Box:
    """It has never reached its server."""
    return box_at(NOWHERE, tmp_path / "box", server.root)


@pytest.fixture
def said(box: Box) -> Iterator[Callable[[], list[str]]]:
    """What the box's console showed by now, line by line."""
    os.mkfifo(box.root / "console")
    handle = os.open(box.root / "console", os.O_RDWR | os.O_NONBLOCK)
    shown = bytearray()

    def all_of_it() -> list[str]:
        with contextlib.suppress(BlockingIOError):
            shown.extend(os.read(handle, 1 << 16))
        return [line.partition("TowerOS: ")[2] for line in shown.decode().splitlines() if "TowerOS" in line]

    yield all_of_it
    os.close(handle)


@pytest.fixture
def made(server: UpdateServer, tmp_path: Path) -> Callable[..., Path]:
    """An image of a stick with a bundle of what the server offers now."""

    def make(name: str = "stick", kind: str = "vfat", origin: UpdateServer = server) -> Path:
        folder = tmp_path / f"{name}-folder"
        shutil.rmtree(folder, ignore_errors=True)
        bundles.make(Origin(origin.url), origin.root, ["demo-1"], folder)
        return stick(folder, tmp_path / f"{name}.img", kind, 16)

    return make


def report(image: Path) -> dict[str, Any]:
    """What the box wrote onto the stick, as it is; nothing: it has not."""
    with Medium.open(image) as medium:
        envelope = medium.read("reports/demo-1.json", 1 << 20).strip()
    text = json.loads(envelope)["report"] if envelope else "{}"
    found: dict[str, Any] = json.loads(text)
    return found


def waits(seconds: float) -> None:
    raise AssertionError("it waits, although something was plugged in")


def look(agent: Agent, times: int = 3) -> Agent:
    for _ in range(times):
        drive(agent, State.IDLE)
    return agent


@pytest.mark.parametrize("kind", ["mbr", "ext4"])
def test_a_stick_is_found_taken_and_told_until_it_may_be_pulled_out(
    kind: str, server: UpdateServer, box: Box, made: Callable[..., Path], said: Callable[[], list[str]]
) -> None:
    agent = box.power_on()
    assert agent
    look(agent, 1)
    offer(server, release(8))
    image = made(kind=kind)
    plug_in(box, image)
    agent.coming.wait(600, waits)  # it is seen at once
    agent = settle(box)
    assert (agent.boot.sequence, agent.trial, agent.state) == (8, False, State.IDLE)
    assert (words := said()) == [
        "the stick sdb: it is looked at",
        "the stick sdb: release 8 is copied: leave it in",
        *2 * ["the stick sdb: release 8 is tried: leave it in"],
        "the stick sdb: done: release 8 runs: pull it out",
    ]
    back = report(image)
    assert (back["sequence"], back["health"], back["phase"]) == (8, "Healthy", "idle")
    assert back["bundle"] == words[-1]
    pull_out(box)
    assert look(agent).tell().bundle == ""


def test_a_stick_that_is_pulled_out_in_the_middle_is_gone_on_with(
    server: UpdateServer, box: Box, made: Callable[..., Path], tmp_path: Path
) -> None:
    made_release = offer(server, release(8))
    whole = made()
    half = without(made_release, tmp_path, "stick")
    plug_in(box, half)
    agent = box.power_on()
    assert agent
    look(agent)
    pull_out(box)
    look(agent)
    assert agent.boot.sequence == 7 and "ConnectionRefusedError" in agent.error
    have = {path.name for path in (box.disk / "layers").iterdir()}
    plug_in(box, whole)
    assert settle(box).boot.sequence == 8
    assert have <= {path.name for path in (box.disk / "layers").iterdir()}


def without(made: Made, tmp_path: Path, name: str) -> Path:
    """A stick whose last layer does not come."""
    folder = tmp_path / f"{name}-folder"
    (folder / "layers" / f"{[*made.blobs][2]}.zst").unlink()
    return stick(folder, tmp_path / f"{name}-half.img", "vfat", 16)


def test_one_that_is_pulled_out_while_it_is_read_costs_the_box_nothing(
    server: UpdateServer, box: Box, made: Callable[..., Path]
) -> None:
    offer(server, release(8))
    image = made()
    plug_in(box, image)
    agent = box.power_on()
    assert agent and agent.http.carried and agent.http.carried.sticks
    assert len(agent.http.carried.sticks.all()) == 1
    os.truncate(image, 4096)  # what the kernel makes of a device that is gone
    look(agent)
    assert agent.boot.sequence == 7 and agent.state == State.IDLE and "plug it in again" in agent.tell().bundle
    plug_in(box, made())
    assert settle(box).boot.sequence == 8


def test_one_that_hangs_is_left_and_the_box_goes_on(
    server: UpdateServer, box: Box, made: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(server, release(8))
    image = made()
    plug_in(box, image)
    agent = box.power_on()
    assert agent and agent.http.carried and agent.http.carried.sticks
    (one,) = agent.http.carried.sticks.all()
    monkeypatch.setattr(deadlines, "SILENCE", 0.3)
    os.kill(one._child.pid, signal.SIGSTOP)  # as in a read that never ends
    look(agent)
    assert agent.state == State.IDLE and "does not answer" in agent.tell().bundle
    monkeypatch.undo()
    plug_in(box, image)
    assert settle(box).boot.sequence == 8


def test_of_two_sticks_the_good_one_counts_whichever_says_that_it_is_newer(
    server: UpdateServer, box: Box, made: Callable[..., Path]
) -> None:
    offer(server, release(8))
    good = made("good")
    with UpdateServer("demo-1") as stranger:
        offer(stranger, release(9), days=99)
        bad = made("bad", origin=stranger)
    plug_in(box, bad, "sda")
    plug_in(box, good, "sdb")
    agent = settle(box)
    assert agent.boot.sequence == 8
    assert agent.tell().bundle == "the stick sdb: done: release 8 runs: pull it out"


def test_of_two_good_sticks_the_newer_one_is_taken(server: UpdateServer, box: Box, made: Callable[..., Path]) -> None:
    offer(server, release(8))
    plug_in(box, made("old"), "sda")
    offer(server, release(9, b"three"), days=8)
    plug_in(box, made("new"), "sdb")
    assert settle(box).boot.sequence == 9


def test_a_stick_of_another_fleet_is_refused_in_words_on_the_console_and_on_the_stick(
    box: Box, made: Callable[..., Path], said: Callable[[], list[str]]
) -> None:
    with UpdateServer("demo-1") as stranger:
        offer(stranger, release(8))
        image = made(origin=stranger)
    plug_in(box, image)
    agent = box.power_on()
    assert agent
    look(agent)
    assert agent.boot.sequence == 7 and said()[-1].startswith("the stick sdb: refused: ")
    assert "refused: " in report(image)["bundle"] and report(image)["sequence"] == 7


def test_a_stick_without_a_bundle_is_nobody_s_business(box: Box, said: Callable[[], list[str]], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"meow")
    plug_in(box, stick(tmp_path / "photos", tmp_path / "photos.img", "vfat", 4))
    agent = box.power_on()
    assert agent
    assert look(agent).tell().bundle == "" and said() == []


def test_a_stick_is_found_behind_many_disks_that_are_none(
    server: UpdateServer, box: Box, made: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "disk").write_bytes(bytes(1 << 16))
    for letter in "abcde":
        plug_in(box, tmp_path / "disk", f"sd{letter}")
    offer(server, release(8))
    plug_in(box, made(), "sdf")
    assert settle(box).boot.sequence == 8


def test_while_the_server_is_there_a_stick_saves_its_line_and_says_so(
    server: UpdateServer, tmp_path: Path, made: Callable[..., Path]
) -> None:
    offer(server, release(8))
    box = box_at(server.url, tmp_path / "near", server.root)
    plug_in(box, made())
    server.requests.clear()
    agent = settle(box)
    assert agent.boot.sequence == 8 and "the server is there, and it counts" in agent.tell().bundle
    assert not [path for path in server.paths() if path.startswith("/layers/")]


def test_a_full_disk_of_the_box_is_said_and_the_stick_goes_on_when_there_is_room(
    server: UpdateServer, box: Box, made: Callable[..., Path]
) -> None:
    offer(server, release(8))
    plug_in(box, made())
    layers = box.disk / "layers"
    kept = {path.name: path.read_bytes() for path in layers.iterdir()}
    size = sum(-(-len(data) // 4096) * 4 for data in kept.values()) + 8
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", layers], check=True)
    try:
        for name, data in kept.items():
            (layers / name).write_bytes(data)
        agent = box.power_on()
        assert agent
        look(agent)
        assert agent.boot.sequence == 7 and "No space left" in agent.tell().bundle, agent.tell().bundle
        subprocess.run(["mount", "-o", "remount,size=9m", layers], check=True)
        for _ in range(4):
            if drive(agent, State.IDLE, State.REBOOTING) == State.REBOOTING:
                break
        assert agent.state == State.REBOOTING
    finally:
        subprocess.run(["umount", "-l", layers], check=True)


# --- what is signed says how fresh it is ---


def test_a_stick_of_next_week_moves_the_clock_that_is_behind_and_one_of_last_week_is_none_then(
    server: UpdateServer, box: Box, made: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The box has no clock to speak of: for it, the controller lives in the future."""
    moments = list[float]()
    monkeypatch.setattr("toweros_agent.upkeep.disk.time.clock_settime", lambda _, moment: moments.append(moment))
    offer(server, release(8))
    last_week = made("old")
    week = 7 * 86400
    offer(server, release(9, b"three"), days=14, custom={"time": int(time.time()) + week})
    plug_in(box, made("new"))
    agent = settle(box)
    assert agent.boot.sequence == 9 and agent.history.memory.time >= time.time() + week - 600
    box.power_on()
    assert moments and moments[-1] >= time.time() + week - 600, "its next start has the time that was signed"
    plug_in(box, last_week)
    assert "BadVersionNumberError" in look(settle(box)).tell().bundle


def test_a_stick_of_last_year_is_expired_and_says_so_in_its_report(
    server: UpdateServer, box: Box, made: Callable[..., Path]
) -> None:
    offer(server, release(8), days=60)
    image = made()
    with Medium.open(image) as medium:
        assert medium.size("repo/metadata/timestamp.json")
    folder = image.with_name("stick-folder")
    offer(server, release(8), days=-358)
    for name, data in server.files.items():
        if name.startswith("/metadata/"):
            (folder / "repo" / "metadata" / Path(name).name).write_bytes(data)
    plug_in(box, stick(folder, image, "vfat", 16))
    agent = box.power_on()
    assert agent
    look(agent)
    assert agent.boot.sequence == 7 and "ExpiredMetadataError" in report(image)["bundle"]


# --- an operator on the box ---


def test_an_operator_names_a_folder_that_is_taken_until_another_is_named(
    server: UpdateServer, box: Box, tmp_path: Path
) -> None:
    offer(server, release(8))
    folder = box.root / "state" / "from-the-laptop"
    bundles.make(Origin(server.url), server.root, ["demo-1"], folder)
    agent = box.power_on()
    assert agent
    assert look(agent).boot.sequence == 7
    words = command.main(["bundle", str(folder)], box.places)
    assert words.startswith("for demo-1, until ")
    assert settle(box).boot.sequence == 8
    assert "no folder" in command.main(["bundle", "none"], box.places)
    assert "ConnectionRefusedError" in look(agent).error


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (None, "is no bundle: there is no toweros-bundle.json; the agent sees /state"),
        ("[" * 9999, "is damaged"),
        ('{"format":1,"boxes":["demo-2"],"made":0,"expires":1}', "it says that it is for demo-2, and this is demo-1"),
        ('{"format":9,"boxes":["demo-1"],"made":0,"expires":1}', "this agent reads 1"),
    ],
)
def test_what_is_no_bundle_for_this_box_is_said_and_nothing_is_changed(
    document: str | None, why: str, box: Box, tmp_path: Path
) -> None:
    assert box.power_on()
    if document is not None:
        (tmp_path / "toweros-bundle.json").write_text(document)
    with pytest.raises(Refused, match=why):
        command.main(["bundle", str(tmp_path)], box.places)
    for words in (["bundle"], ["bundel", "/state/x"], ["bundle", "a", "b"]):
        with pytest.raises(Refused, match="usage"):
            command.main(words, box.places)
    with pytest.raises(Refused, match="a path from / on"):
        command.main(["bundle", "here"], box.places)
    assert not (box.disk / "state" / "bundle").exists()
