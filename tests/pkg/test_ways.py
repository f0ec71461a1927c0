"""Several ways out: the first while it reaches somebody, else the next, and back again; with real links and routes."""

import dataclasses
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.model.network.wiring import Link, Wiring
from tests.kit.wires import Service, Wires, until

WORLD = "203.0.113.1"
FIBRE = Link("fibre", addresses=("192.0.2.10/24",), gateways=("192.0.2.1",), probes=(WORLD,))
LINE = Link("line", addresses=("198.51.100.10/24",), gateways=("198.51.100.1",), metric=300)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Wires() as wires:
        wires.connect("fibre", "far0")
        wires.connect("line", "far1")
        wires.far("ip address add 192.0.2.1/24 dev far0; ip address add 198.51.100.1/24 dev far1")
        wires.far(f"ip address add {WORLD}/32 dev lo; ip link set lo up")
        yield Service(wires, tmp_path, "sh")


def way(service: Service) -> str:
    """By which card the world is reached, if it is."""
    said = service.wires.box(f"ip route get {WORLD}; busybox ping -c 1 -W 1 {WORLD} && echo reached", check=False)
    return said.partition(" dev ")[2].split()[0] if "reached" in said.splitlines() else ""


def test_the_next_way_out_is_used_while_the_first_reaches_nobody(service: Service) -> None:
    with service.run(Wiring((FIBRE, LINE)).text(), look=0.2):
        until(lambda: way(service) == "fibre", service.routes)
        service.wires.far("ip address del 192.0.2.1/24 dev far0")  # there is a carrier, and nobody behind it
        until(lambda: way(service) == "line", service.routes)
        assert (service.folder / "ways").read_text() == "fibre out\n"
        service.wires.far("ip address add 192.0.2.1/24 dev far0")
        until(lambda: way(service) == "fibre", service.routes)
        until(lambda: (service.folder / "ways").read_text() == "fibre up\n")
        service.wires.far("ip link set far0 down")  # a cut cable
        until(lambda: way(service) == "line", service.routes)
        service.wires.box("ip link set line mtu 1400")  # a card that changed: all is carried out again
        service.wires.box("ip link add name other type veth peer name another; sleep 2")
        assert way(service) == "line", service.routes()
        service.wires.far("ip link set far0 up")
        until(lambda: way(service) == "fibre", service.routes)
    assert service.said().count("is a way out again") == 2 and "could not" not in service.said()


def test_the_only_way_out_stays_whatever_it_reaches(service: Service) -> None:
    """Whom it is to reach may be gone for good, and the server not."""
    only = Link("fibre", addresses=("192.0.2.10/24",), gateways=("192.0.2.1",), probes=("203.0.113.99",))
    missed = service.folder / "run" / "missed.fibre"
    with service.run(Wiring((only,)).text(), look=0.2):
        until(lambda: "reaches nobody" in service.said(), service.said)
        told = int(missed.read_text())
        # By the next look all that follows of that has been done.
        until(lambda: int(missed.read_text().strip() or 0) >= told + 1, service.said)
        assert way(service) == "fibre", service.routes()


PLAIN = dataclasses.replace(FIBRE, probes=())


def test_of_two_ways_out_that_reach_nobody_in_particular_the_one_without_a_carrier_is_used_last(
    service: Service,
) -> None:
    with service.run(Wiring((PLAIN, LINE)).text(), look=0.2):
        until(lambda: way(service) == "fibre", service.routes)
        service.wires.far("ip link set far0 down")
        until(lambda: way(service) == "line", service.routes)


def test_a_look_starts_no_program_where_nothing_can_be_put_behind_anything(service: Service) -> None:
    """A box does it every few seconds, for years."""
    started = service.folder / "started"
    (service.folder / "bin").mkdir()
    for name in ("sed", "cut", "sort", "ip", "cat", "cmp"):
        program = service.folder / "bin" / name
        program.write_text(f'#!/bin/sh\necho {name} >>{started}\nexec {shutil.which(name)} "$@"\n')
        program.chmod(0o755)

    def quiet() -> bool:
        before = started.read_text()
        time.sleep(1)
        return started.read_text() == before

    with service.run(Wiring((PLAIN,)).text(), again=100_000, look=0.1):
        until(lambda: way(service) == "fibre", service.routes)
        until(quiet, started.read_text)
