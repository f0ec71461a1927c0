"""A box that runs from a medium: it keeps to what is on it, and leaves the machine as it is."""

import json
import shutil
from pathlib import Path

import pytest
from toweros_agent.loop import Agent
from toweros_agent.machine import State

from tests.simulators.box import SIGNED, Box, drive, make
from tests.simulators.update_server import UpdateServer


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    """Off. Runs release 7; its firmware knows nothing of it, and what init gives it for an ESP is empty."""
    made = Box(tmp_path, server.url, server.root)
    made.install(make(7, probation=0))
    assert made.power_on()
    boot = made.run / "boot.json"
    boot.write_text(json.dumps({**json.loads(boot.read_bytes()), "entry": "", "place": "medium"}))
    shutil.rmtree(made.esp)
    made.linux.mkdir(parents=True)
    return made


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def polled(box: Box) -> Agent:
    agent = box.agent()
    drive(agent, State.IDLE)
    agent.step()
    return agent


def test_it_is_healthy_though_nothing_of_a_disk_is_there(box: Box, server: UpdateServer) -> None:
    agent = polled(box)
    said = box.report(server)
    assert (said["health"], said["degraded"], said["phase"]) == ("Healthy", [], "idle"), said
    assert said["place"] == "medium", "the rollout waits for no such box"
    assert agent.boot.place == "medium"


def test_what_is_newer_is_not_taken_and_the_report_says_why(box: Box, server: UpdateServer) -> None:
    """It would start again with the same medium, and again."""
    new = make(8, service=b"two", uki=SIGNED + b"new", probation=0)
    for root, data in new.blobs.items():
        server.add_layer(data, root)
    server.publish(new.document, new.uki, new.addon)
    before = files(box.disk / "layers")
    agent = polled(box)
    assert "a medium does not change" in agent.error and agent.state == State.IDLE
    assert files(box.disk / "layers") == before and box.rebooted == 0
    assert "a medium does not change" in str(box.report(server)["error"])


def test_the_firmware_and_what_stands_for_an_esp_stay_as_they_are(box: Box) -> None:
    before = files(box.root / "efivars")
    polled(box)
    assert files(box.root / "efivars") == before
    assert not [*box.linux.iterdir()] and not (box.esp / "loader").exists()
