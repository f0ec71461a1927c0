"""A change of the network that cuts the box off takes itself back; a pulled cable does not.

Real links between namespaces, the box's real network service and the real agent; its files are each release's own.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from toweros_agent import deadlines
from toweros_agent.loop import Agent
from toweros_agent.nouns import Verdict

from gitops.model.network.wiring import Link, Proxy, Route, Wiring
from tests.kit.wires import Service, Wires, until
from tests.simulators.box import Box, State, drive, make
from tests.simulators.update_server import UpdateServer

MAC, SERVER = "52:54:00:12:34:56", "192.0.2.1"
OWN = ("192.0.2.10/24",)
GOOD = Wiring((Link("lan", mac=MAC, addresses=OWN),))
BAD = {
    "a card that is not there": Wiring((Link("lan", driver="e1000", addresses=OWN),)),
    "a route that leads nowhere": Wiring(
        (Link("lan", mac=MAC, addresses=OWN, routes=(Route("192.0.2.1/32", "192.0.2.7"),)),)
    ),
    "a proxy that is not there": Wiring(GOOD.links, proxy=Proxy("http://192.0.2.1:9")),
}


@dataclass
class Site:
    """A box and its server, at both ends of a wire."""

    wires: Wires
    server: UpdateServer
    box: Box
    service: Service

    @contextmanager
    def boot(self, wiring: Wiring) -> Iterator[Agent]:
        """The next boot of the box, whose release says this of its network."""
        (self.box.root / "etc" / "network").write_text(wiring.text())
        shutil.rmtree(self.service.folder / "run", ignore_errors=True)
        self.wires.box("ip address flush dev eth0; ip link set eth0 down")
        with self.service.run(wiring.text()), self.wires.box.this_thread():
            until(lambda: (self.service.folder / "run" / "carried").exists())
            agent = self.box.power_on()
            assert agent
            yield agent

    def offer(self, sequence: int, name: str) -> None:
        new = make(sequence, service=name.encode(), probation=0)
        for root, data in new.blobs.items():
            self.server.add_layer(data, root)
        self.server.publish(new.document, new.uki, new.addon)

    def up(self) -> bool:
        return bool(self.service.addresses("eth0"))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(deadlines, "CONNECT", 0.2)
    (tmp_path / "box").mkdir()
    (tmp_path / "network").mkdir()
    with Wires() as wires:
        wires.connect("eth0", "far0", MAC)
        wires.far(f"ip address add {SERVER}/24 dev far0")
        with wires.far.this_thread():
            server = UpdateServer("demo-1", SERVER)
        with server:
            box = Box(tmp_path / "box", server.url, server.root)
            box.install(make(7, probation=0))
            yield Site(wires, server, box, Service(wires, tmp_path / "network", "busybox sh"))


def test_each_kind_of_change_that_cuts_the_box_off_is_taken_back(site: Site) -> None:
    for sequence, (name, wiring) in enumerate(BAD.items(), start=8):
        site.offer(sequence, name)
        with site.boot(GOOD) as agent:
            until(site.up)
            drive(agent, State.REBOOTING)
        with site.boot(wiring) as agent:
            assert agent.trial, name
            drive(agent, State.REBOOTING)
            failure = agent.history.memory.failures[-1]
            assert failure.verdict == Verdict.INDETERMINATE, name
            assert failure.reason.startswith("the server was out of reach during probation"), name
    with site.boot(GOOD) as agent:
        until(site.up)
        drive(agent, State.IDLE)
        drive(agent, State.IDLE)
        assert not agent.trial and agent.boot.sequence == 7
        assert "toweros-7.efi" in site.box.entries() and "waits for" in agent.error


def test_a_change_that_reaches_the_server_is_kept_and_a_pulled_cable_rolls_nothing_back(site: Site) -> None:
    site.offer(8, "moved")
    with site.boot(GOOD) as agent:
        until(site.up)
        drive(agent, State.REBOOTING)
    moved = Wiring((Link("lan", mac=MAC, addresses=("192.0.2.77/24", "2001:db8::77/64")),))
    with site.boot(moved) as agent:
        until(site.up)
        drive(agent, State.IDLE)
        assert site.box.entries() == ["toweros-7.efi", "toweros-8.efi"], "it was tried, and is proven"
        site.wires.far("ip link set far0 down")
        for _ in range(8):
            drive(agent, State.IDLE)
        assert agent.history.memory.failures == [] and "192.0.2.1" in agent.error
        site.wires.far("ip link set far0 up")
        until(lambda: drive(agent, State.IDLE) and not agent.error)
