"""A change of the network that cuts the box off takes itself back; a pulled cable does not.

Real links between namespaces, the box's real network service and the real agent; its files are each release's own.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from toweros_agent import deadlines
from toweros_agent.loop import Agent
from toweros_agent.nouns import Verdict

from gitops.model.network.wiring import Link, Proxy, Route, Wiring
from tests.kit.wires import Service, Wires, until
from tests.simulators.box import Box, State, drive, make
from tests.simulators.update_server import UpdateServer

MAC, OTHER, SERVER = "52:54:00:12:34:56", "52:54:00:12:34:57", "192.0.2.1"
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
        self.wires.box(
            "for card in eth0 eth1; do ip address flush dev $card; ip link set $card down; done", check=False
        )
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

    def ways(self) -> str:
        return self.service.ways.read_text() if self.service.ways.exists() else ""

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
            service = Service(wires, tmp_path / "network", "busybox sh")
            service.ways = box.run / "ways"
            yield Site(wires, server, box, service)


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


FIBRE = Link("fibre", mac=OTHER, addresses=("198.51.100.10/24",), gateways=("198.51.100.1",), probes=("198.51.100.1",))


def test_a_change_that_breaks_one_of_two_ways_out_is_taken_back_though_the_server_is_reached(site: Site) -> None:
    """By the other way. Nobody would have known until that one was needed."""
    site.wires.connect("eth1", "far1", OTHER)
    site.wires.far("ip address add 198.51.100.1/24 dev far1")
    both = Wiring((*GOOD.links, FIBRE))
    moved = Wiring((*GOOD.links, replace(FIBRE, addresses=("203.0.113.10/24",), gateways=("203.0.113.1",))))
    for sequence, (wiring, fine) in enumerate({moved: False, Wiring(GOOD.links): True}.items(), start=8):
        site.offer(sequence, str(sequence))
        with site.boot(both) as agent:
            until(lambda: site.ways() == "fibre up\n", site.service.said)
            drive(agent, State.REBOOTING)
        with site.boot(wiring) as agent:
            until(lambda fine=fine: site.up() and (fine or site.ways() == "fibre out\n"), site.service.said)  # type: ignore[misc]
            drive(agent, State.IDLE if fine else State.REBOOTING)
            assert agent.trial is not fine
            if not fine:
                reason = agent.history.memory.failures[-1].reason
                assert "the way out fibre reaches nobody, and did before" in reason


def test_a_way_out_that_is_cut_holds_up_no_release_that_leaves_the_network_as_it_is(site: Site) -> None:
    site.wires.connect("eth1", "far1", OTHER)
    site.wires.far("ip address add 198.51.100.1/24 dev far1")
    both = Wiring((*GOOD.links, FIBRE))
    site.offer(8, "same network")
    with site.boot(both) as agent:
        until(lambda: site.ways() == "fibre up\n", site.service.said)
        drive(agent, State.REBOOTING)
    site.wires.far("ip link set far1 down")
    with site.boot(both) as agent:
        until(lambda: site.up() and site.ways() == "fibre out\n", site.service.said)
        drive(agent, State.IDLE)
        assert not agent.trial and any("way out" in problem for problem in agent.upkeep.problems)
