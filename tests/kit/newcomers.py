"""What stories of machines without a name share: a real server with a store and keys, a fleet, and such machines.

place.fleet(Hardware(key=...)); place.publish("site-9", 5); place.round()
machine = place.machine("one"); machine.power_on()
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from toweros_agent.loop import Agent
from toweros_agent.outgoing.identity import Identity

from gitops.model import Box, Fleet, Policy, Publication, Release, Revision, Spec
from gitops.model.machines.newcomer import Hardware, newcomer
from gitops.server import create_app, serve
from gitops.settings import Settings
from gitops.store.notes.newcomers import Newcomer as Waiting
from gitops.workflows.enrolment import newcomers
from gitops.workflows.enrolment.adoption import adopt
from tests.kit.published import Kit, kit
from tests.simulators.box import Box as Machine
from tests.simulators.box import Made, make

ROLE = "vm"


class Newcomer(Machine):
    """A machine that booted a role's medium: its key is made on it."""

    def __init__(self, root: Path, server: str, tuf_root: bytes, serial: str, mac: str) -> None:
        root.mkdir()
        super().__init__(root, server, tuf_root)
        (self.disk / "identity" / "box.key").unlink()
        (root / "console").touch()
        (root / "screen").touch()
        dmi, card = root / "sys" / "class" / "dmi" / "id", root / "sys" / "class" / "net" / "eth0"
        (card / "device").mkdir(parents=True)
        dmi.mkdir(parents=True)
        (dmi / "product_serial").write_text(f"{serial}\n")
        (card / "address").write_text(f"{mac}\n")

    @property
    def public(self) -> str:
        return Identity(self.disk / "identity", self.esp).public

    def shown(self) -> str:
        return (self.root / "console").read_text()

    def boot_name(self) -> str:
        """Under which name the signed command line started it."""
        return str(json.loads((self.run / "boot.json").read_text())["box"])


class Place:
    """A store with keys, its server on the loopback, and what its fleet says."""

    def __init__(self, made: Kit, url: str) -> None:
        self.kit, self.store, self.url, self.folder = made, made.store, url, made.folder
        self.boxes: dict[str, Box] = {}
        self.medium = make(0, box=newcomer(ROLE), service=b"medium")

    def says(self, name: str, **hardware: str) -> None:
        """What boxes/NAME.yaml says of its machine."""
        self.boxes[name] = Box(name, ROLE, Spec("", ""), hardware=Hardware(**hardware))

    def publish(self, name: str, sequence: int, service: bytes = b"one", box: str = "") -> Made:
        made = make(sequence, box=box or name, service=service)
        release = Release.parse(made.document)
        for root, data in made.blobs.items():
            (self.folder / "layer").write_bytes(data)
            self.store.layers.add(self.folder / "layer", root)
        blobs = [self.store.blobs.put(data) for data in (made.document, made.uki, made.addon)]
        publication = Publication(release, Revision("main", f"{sequence:040x}", sequence, int(time.time())), *blobs)
        self.kit.publisher.publish([publication])
        self.store.offers.save_published(publication, "key")
        return made

    def round(self) -> dict[str, str]:
        """What a pass of the controller does about machines without a name."""
        names = adopt(self.store, Fleet(Policy(branch="main"), {}, self.boxes), int(time.time()))
        self.kit.publisher.name(names)
        return names

    def machine(self, name: str, serial: str = "7XK2Q13", mac: str = "52:54:00:12:34:56") -> Newcomer:
        """One that booted the medium for the first time."""
        machine = Newcomer(self.folder / name, self.url, self.kit.signer.root, serial, mac)
        machine.install(self.medium)
        return machine

    def waiting(self) -> dict[str, Waiting]:
        """Who asks, by key."""
        return newcomers.living(self.store, int(time.time()))

    def told(self, reason: str) -> list[str]:
        return [each.message for each in self.store.events.latest(limit=100) if each.reason == reason]

    def health(self, box: str) -> str:
        state = self.store.states.one(box)
        return str(state.health(time.time())) if state else "none"


def started(machine: Machine) -> Agent:
    """The agent of a machine that starts."""
    agent = machine.power_on()
    assert agent
    return agent


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = kit(tmp_path / "kit")
    with serve(create_app(made.store, Settings(state=made.store.paths.root)), "127.0.0.1:0") as url:
        yield Place(made, url)
