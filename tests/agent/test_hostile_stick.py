"""Sticks that were made to harm: what one says costs neither the others nor what the server has."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from toweros_agent import deadlines
from toweros_agent.machine import State
from toweros_agent.media.medium import Medium
from toweros_agent.plugged import stick as plugged

from gitops.noc import bundles
from gitops.noc.origin import Origin
from tests.kit.nocs import box_at, offer, release
from tests.kit.sticks import behind_the_end, plug_in, stick
from tests.simulators.box import drive
from tests.simulators.update_server import UpdateServer

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def made(server: UpdateServer, tmp_path: Path) -> Callable[[], Path]:
    """A folder with a bundle of what the server offers now."""

    def make() -> Path:
        if not server.files:
            offer(server, release(8))
        bundles.make(Origin(server.url), server.root, ["demo-1"], tmp_path / "folder")
        return tmp_path / "folder"

    return make


def test_files_that_end_beyond_the_stick_hold_up_nothing_that_the_server_has(
    server: UpdateServer, tmp_path: Path, made: Callable[[], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    offer(server, release(8))
    image = stick(made(), tmp_path / "stick.img", "vfat", 16)
    assert behind_the_end(image, b"ZST", 5) > 1
    box = box_at(server.url, tmp_path / "near", server.root)
    plug_in(box, image)
    agent = box.power_on()
    assert agent
    for _ in range(4):
        if drive(agent, State.IDLE, State.REBOOTING) == State.REBOOTING:
            break
    assert agent.state == State.REBOOTING, agent.error
    assert "unexpected" not in capfd.readouterr().err, "what it answered next would be of the question before"


def test_what_a_stranger_wrote_reaches_no_console_as_it_is(
    server: UpdateServer, tmp_path: Path, made: Callable[[], Path]
) -> None:
    offer(server, release(8))
    folder = made()
    wild = {"format": "\x1b[2J\x1b[31m\u202eall is well" + "!" * 9999, "boxes": ["demo-1"], "made": 0, "expires": 1}
    (folder / "toweros-bundle.json").write_text(json.dumps(wild))
    box = box_at(NOWHERE, tmp_path / "far", server.root)
    os.mkfifo(box.root / "console")
    handle = os.open(box.root / "console", os.O_RDWR | os.O_NONBLOCK)
    plug_in(box, stick(folder, tmp_path / "stick.img", "vfat", 16))
    agent = box.power_on()
    assert agent
    for _ in range(3):
        drive(agent, State.IDLE)
    shown = os.read(handle, 1 << 16).decode()
    os.close(handle)
    assert "refused: " in shown and "all is well" in shown
    assert all(each.isprintable() or each in "\r\n" for each in shown) and len(shown) < 5000


def test_sticks_that_all_hang_are_tried_one_at_a_look_and_no_watchdog_starves(
    server: UpdateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "SILENCE", 0.2)
    monkeypatch.setattr(plugged, "BEGIN", "import time; time.sleep(60)")
    box = box_at(NOWHERE, tmp_path / "far", server.root)
    (tmp_path / "disk").write_bytes(bytes(1 << 16))
    for letter in "abcdefgh":
        plug_in(box, tmp_path / "disk", f"sd{letter}")
    agent = box.power_on()
    assert agent and agent.http.carried and agent.http.carried.sticks
    before = len(agent.http.carried.sticks.all())
    assert len(agent.http.carried.sticks.all()) == before + 1


def test_a_device_of_which_somebody_mounted_a_part_is_never_written_to(
    tmp_path: Path, made: Callable[[], Path]
) -> None:
    """A container may have mounted it where the host does not see that."""
    image = stick(made(), tmp_path / "stick.img", "ext4", 16)
    (place := tmp_path / "place").mkdir()
    device = run("losetup", "--find", "--show", image)
    try:
        run("mount", "-o", "ro", device, place)
        try:
            with pytest.raises(OSError, match="busy"):
                Medium.open(Path(device), write=True)
            with Medium.open(Path(device)) as medium:
                assert medium.size("reports/demo-1.json")
        finally:
            run("umount", place)
        with Medium.open(Path(device), write=True) as medium:
            medium.write("reports/demo-1.json", b"{}")
    finally:
        run("losetup", "--detach", device)


def run(*words: object) -> str:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout.strip()
