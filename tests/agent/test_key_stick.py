"""A machine whose disk is its memory: its key is on a stick, or it is Unknown."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from toweros_agent.host import room
from toweros_agent.loop import Agent
from toweros_agent.machine import State
from toweros_agent.outgoing.identity import Identity, text_of

from gitops.model import Health
from gitops.model.machines.newcomer import newcomer
from tests.kit.newcomers import ROLE, Newcomer, Place, started
from tests.simulators.box import drive

NAME = "site-9"


@pytest.fixture
def diskless(tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Newcomer]:
    """A machine that is started with nothing but memory, again and again; its stick stays."""
    stick, starts = tmp_path / "stick", iter(range(9))

    def start() -> Newcomer:
        machine = place.machine(f"start-{next(starts)}")
        (machine.esp / "EFI" / "Linux" / "toweros-0.efi").touch()
        mounts = tmp_path / "mountinfo"
        mounts.write_text(f"36 35 0:30 / {machine.disk} rw,nosuid - tmpfs toweros rw\n")
        monkeypatch.setattr(room, "MOUNTS", mounts)
        if stick.is_dir():
            (machine.run / "key").symlink_to(stick)
        return machine

    return start


def from_medium(machine: Newcomer) -> Agent:
    """The agent of a machine that a role's medium started."""
    started(machine)
    boot = machine.run / "boot.json"
    boot.write_text(json.dumps({**json.loads(boot.read_bytes()), "entry": "", "place": "medium"}))
    return machine.agent()


def key_of(machine: Newcomer) -> str:
    return Identity(machine.disk / "identity", machine.esp, stick=machine.run / "key").public


def test_with_a_stick_it_is_the_same_machine_after_every_start(
    tmp_path: Path, place: Place, diskless: Callable[[], Newcomer]
) -> None:
    (tmp_path / "stick").mkdir()
    first, second = key_of(diskless()), key_of(diskless())
    assert first == second, "made at the first start, on the stick"
    assert (tmp_path / "stick" / "box.key").read_bytes().startswith(b"public: " + first.encode())
    identity = Identity((machine := diskless()).disk / "identity", machine.esp, stick=machine.run / "key")
    identity.settle()
    assert identity.problems == [] and not identity.lost_with_power
    (tmp_path / "stick" / "box.key").write_text("damaged\n")
    fresh = Identity((machine := diskless()).disk / "identity", machine.esp, stick=machine.run / "key")
    assert fresh.public != first and fresh.problems == [], "what is no key is replaced"


@pytest.mark.parametrize("its_own", [True, False])
def test_a_key_on_the_medium_outlives_the_power_as_well(diskless: Callable[[], Newcomer], its_own: bool) -> None:
    """`toweros box image --format iso --with-key`. A medium with another key keeps none of this machine's."""
    machine, key = diskless(), Ed25519PrivateKey.generate()
    on_it = machine.run / "medium" / "identity"
    on_it.mkdir(parents=True)
    (on_it / "box.key").write_bytes(text_of(key if its_own else Ed25519PrivateKey.generate()))
    (machine.disk / "identity" / "box.key").write_bytes(text_of(key))
    identity = Identity(machine.disk / "identity", machine.esp, stick=machine.run / "key")
    assert identity.public == key.public_key().public_bytes_raw().hex()
    assert identity.lost_with_power is not its_own and (identity.problems == []) is its_own


def test_without_a_stick_it_is_unknown_and_never_healthy(place: Place, diskless: Callable[[], Newcomer]) -> None:
    place.publish(NAME, 5)
    machine = diskless()
    agent = started(machine)
    drive(agent, State.IDLE)
    place.says(NAME, key=machine.public)
    agent.step()
    place.round()
    agent.step()
    assert agent.boot.box == NAME
    agent.send_report()
    report = place.store.boxes.report(NAME)
    assert report and report.kept == "memory" and "give it a key stick" in report.degraded[-1]
    assert place.health(NAME) == Health.UNKNOWN
    assert key_of(diskless()) != machine.public, "and the next start is whoever it is"


def test_a_machine_with_a_disk_neither_reads_nor_writes_a_stick(tmp_path: Path, place: Place) -> None:
    """Whoever plugs one in takes no key away, and brings none."""
    machine, stranger = place.machine("new"), Ed25519PrivateKey.generate()
    (machine.run / "key").mkdir()
    own = Identity(machine.disk / "identity", machine.esp, stick=machine.run / "key").public
    assert list((machine.run / "key").iterdir()) == []
    (machine.run / "key" / "box.key").write_bytes(text_of(stranger))
    assert Identity(machine.disk / "identity", machine.esp, stick=machine.run / "key").public == own


def test_a_stick_that_cannot_be_written_is_told(tmp_path: Path, diskless: Callable[[], Newcomer]) -> None:
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "box.key.new").mkdir()
    identity = Identity((machine := diskless()).disk / "identity", machine.esp, stick=machine.run / "key")
    identity.settle()
    assert identity.lost_with_power and "the key stick does not have the machine's key" in identity.problems[0]


def test_a_machine_that_a_roles_medium_starts_keeps_its_name_on_the_stick(
    tmp_path: Path, place: Place, diskless: Callable[[], Newcomer]
) -> None:
    """Also while no server is there to give it again. A machine with a disk takes no name from a stick."""
    (tmp_path / "stick").mkdir()
    place.publish(NAME, 5)
    agent = from_medium(diskless())
    drive(agent, State.IDLE)
    place.says(NAME, key=agent.identity.public)
    agent.step()
    place.round()
    agent.step()
    agent.step()
    assert agent.boot.box == NAME and "a medium does not change" in agent.error
    again = from_medium(diskless())
    assert again.boot.box == NAME and again.identity.public == agent.identity.public
    assert started(diskless()).boot.box == newcomer(ROLE), "on its disk"
