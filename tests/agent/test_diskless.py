"""A box that the network started, with all that it runs in memory: it needs no ESP, and moves by starting again."""

import json
import shutil
import time
from pathlib import Path

import pytest
from toweros_agent.diskless import upkeep
from toweros_agent.loop import Agent
from toweros_agent.machine import State

from tests.kit.contracts import good
from tests.simulators.box import Box, Made, make
from tests.simulators.update_server import UpdateServer


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    """Release 7 in memory, which the server offers as well; the ESP is an empty folder, as the initrd makes it."""
    made = Box(tmp_path, server.url, server.root)
    offer(server, make(7))
    for root, data in make(7).blobs.items():
        made.put_layer(root, data)
    for folder in ("BOOT", "Linux"):
        shutil.rmtree(made.esp / "EFI" / folder)
    shutil.rmtree(made.esp / "loader")
    made.linux.mkdir()
    return made


def offer(server: UpdateServer, made: Made, held: str = "") -> None:
    for root, data in made.blobs.items():
        server.add_layer(data, root)
    server.publish(made.document, made.uki, made.addon, custom={"held": held} if held else None)


def started(box: Box, made: Made) -> Agent:
    """As the initrd leaves it: nothing but the release and what is proven."""
    boot = good("boot", "ram", box="demo-1", release=made.digest, sequence=made.sequence, server=box.server)
    (box.run / "boot.json").write_text(json.dumps(boot))
    (box.run / "release.json").write_bytes(made.document)
    (box.disk / "releases" / f"{made.digest}.json").write_bytes(made.document)
    (box.run / "services.made").write_text(str(time.monotonic()))
    (box.root / "boot_id").write_text(f"{time.monotonic_ns()}\n")
    return box.agent()


def settled(agent: Agent) -> Agent:
    for _ in range(3):
        agent.step()
    return agent


def test_a_box_without_a_disk_is_healthy_and_asks_for_no_boot_file(box: Box, server: UpdateServer) -> None:
    agent = settled(started(box, make(7)))
    report = box.report(server)
    assert (report["health"], report["degraded"], report["sequence"]) == ("Healthy", [], 7)
    assert not [path for path in server.paths() if path.endswith(".efi")]
    assert agent.state == State.IDLE and not list(box.linux.iterdir())


def test_another_release_is_started_by_the_network_and_not_fetched(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "STAY", 0.0)
    agent = settled(started(box, make(7)))
    offer(server, make(8, service=b"two"))
    server.requests.clear()
    agent.step()
    assert agent.state == State.REBOOTING
    agent.step()
    assert box.rebooted == 1
    assert not [path for path in server.paths() if path.startswith(("/layers", "/targets"))]


def test_who_started_moments_ago_stays_whatever_is_offered(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that offers one release and hands out another would have the box start for ever."""
    monkeypatch.setattr(upkeep, "STAY", time.monotonic() + 3600)
    agent = settled(started(box, make(7)))
    offer(server, make(8, service=b"two"))
    agent.step()
    assert agent.state == State.IDLE and not box.rebooted
    assert "up for ten minutes" in str(box.report(server)["error"])


def test_a_release_that_did_not_come_up_is_held_and_starts_nothing(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "STAY", 0.0)
    agent = settled(started(box, make(7)))
    offer(server, make(8, service=b"two"), held="it was started three times")
    agent.step()
    assert agent.state == State.IDLE and not box.rebooted
    assert "three times" in str(box.report(server)["error"])
