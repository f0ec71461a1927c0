"""A machine without a name shows its code, waits, and goes on as the box that Git says it is: the real agent, the real
server, signed metadata between them."""

import shutil
from pathlib import Path

import pytest
from toweros_agent.joining.joining import code as shown_code
from toweros_agent.joining.name import FILE
from toweros_agent.loop import Agent
from toweros_agent.machine import State
from toweros_agent.offer.net import NetError

from gitops.model import Health
from gitops.model.machines.newcomer import code
from gitops.workflows.enrolment import desk
from tests.kit.newcomers import Newcomer, Place, started
from tests.kit.published import kit
from tests.simulators.box import drive

NAME = "site-9"


def waiting(machine: Newcomer) -> Agent:
    """The agent of a machine that has asked once."""
    agent = started(machine)
    drive(agent, State.IDLE)
    agent.step()
    return agent


def adopted(place: Place, machine: Newcomer) -> Agent:
    """The agent of a machine that has its name, and runs its medium's release still."""
    agent = waiting(machine)
    place.says(NAME, key=machine.public)
    place.round()
    agent.step()
    assert agent.boot.box == NAME
    return agent


def test_a_new_machine_shows_its_code_waits_is_adopted_and_its_release_comes_as_an_update(place: Place) -> None:
    place.publish(NAME, 5)
    machine = place.machine("new")
    agent = waiting(machine)
    assert code(machine.public) == shown_code(machine.public)
    assert code(machine.public) in machine.shown() and "toweros box adopt" in machine.shown()
    assert code(machine.public) in (machine.root / "screen").read_text(), "where the console is a serial line"
    said = place.waiting()[machine.public]
    assert place.round() == {}, "nobody said who it is"
    assert (said.serial, said.macs) == ("7XK2Q13", ("52:54:00:12:34:56",))
    place.says(NAME, key=machine.public)
    assert place.round() == {machine.public: NAME}
    assert drive(agent, State.REBOOTING) == State.REBOOTING
    assert machine.boot_name() == "new.vm", "so far it runs the medium's release, by its new name"
    agent = started(machine)
    assert machine.boot_name() == NAME
    assert drive(agent, State.IDLE) == State.IDLE
    agent.step()
    assert place.health(NAME) == Health.HEALTHY
    assert place.round() == {} and place.waiting() == {}, "who is there asks no more"


def test_a_machine_that_git_lists_by_its_serial_number_is_adopted_by_itself(place: Place) -> None:
    place.publish(NAME, 5)
    place.says(NAME, serial="7XK2Q13", mac="52:54:00:12:34:56")
    other, machine = place.machine("other", mac="52:54:00:00:00:01"), place.machine("new")
    waiting(other)
    agent = waiting(machine)
    assert place.round() == {machine.public: NAME}, "all that is asked must be right"
    assert drive(agent, State.REBOOTING) == State.REBOOTING
    assert [each for each in place.told("Adopted") if code(machine.public) in each and "serial 7XK2Q13" in each]


def test_the_second_claimant_of_a_serial_number_is_refused_and_an_alarm(place: Place) -> None:
    place.publish(NAME, 5)
    place.says(NAME, serial="7XK2Q13")
    first, second = place.machine("first"), place.machine("second")
    waiting(first)
    place.round()
    agent = waiting(second)
    assert place.round() == {first.public: NAME}
    agent.step()
    assert agent.boot.box == "new.vm"
    (alarm,) = place.told("Refused")
    assert code(second.public) in alarm and f"it says that it is {NAME}, which has another key" in alarm
    place.round()
    assert len(place.told("Refused")) == 1, "told once"


def test_a_server_that_lies_about_names_gives_none(place: Place, tmp_path: Path) -> None:
    """Whoever sits in the server's place has no key of ours: what he signs, or repeats, is refused."""
    place.publish(NAME, 5)
    machine = place.machine("new")
    agent = waiting(machine)
    liar = kit(tmp_path / "liar", foreign=True)
    liar.publisher.publish([liar.publication(NAME, 9)])
    liar.publisher.name({machine.public: NAME})
    ours = place.store.paths.metadata
    shutil.copytree(ours, tmp_path / "ours")
    shutil.copytree(liar.store.paths.metadata, ours, dirs_exist_ok=True)
    agent.step()
    assert agent.boot.box == "new.vm" and agent.error.startswith("metadata: ")
    assert not (machine.disk / "identity" / FILE).exists()


def test_a_naming_of_another_machine_names_nobody_here(place: Place) -> None:
    place.publish(NAME, 5)
    machine, other = place.machine("new"), place.machine("other")
    agent = waiting(machine)
    place.kit.publisher.name({other.public: NAME})
    agent.step()
    assert agent.boot.box == "new.vm" and agent.error == ""


def test_a_box_that_has_a_name_is_never_given_another(place: Place) -> None:
    """A naming that is repeated, or made by mistake for the key of a box that lives."""
    place.publish(NAME, 5)
    machine = place.machine("new")
    agent = adopted(place, machine)
    drive(agent, State.REBOOTING)
    agent = started(machine)
    drive(agent, State.IDLE)
    place.kit.publisher.name({machine.public: "site-10"})
    (machine.disk / "identity" / FILE).write_text("site-10\n")
    agent.step()
    assert agent.boot.box == NAME and machine.agent().boot.box == NAME, "the signed command line names it"


def test_power_lost_after_the_name_came_leaves_the_box_and_half_a_name_is_none(place: Place) -> None:
    place.publish(NAME, 5)
    machine = place.machine("new")
    adopted(place, machine)
    agent = started(machine)
    assert machine.boot_name() == "new.vm" and agent.boot.box == NAME
    for damaged in (b"", b"site-", b"\0" * 20, b"../../x\n", b"new.vm\n", b"x" * 200):
        (machine.disk / "identity" / FILE).write_bytes(damaged)
        assert machine.agent().boot.box == "new.vm", damaged
    assert drive(machine.agent(), State.REBOOTING) == State.REBOOTING, "and it is told once more"


def test_a_release_that_fails_brings_the_medium_back_under_the_new_name(place: Place) -> None:
    place.publish(NAME, 5)
    machine = place.machine("new")
    drive(adopted(place, machine), State.REBOOTING)
    machine.hang = True
    agent = started(machine)
    assert machine.boot_name() == "new.vm" and agent.boot.box == NAME
    drive(agent, State.IDLE)
    agent.step()
    state = place.store.states.one(NAME)
    assert state and state.received and state.failures[0].sequence == 5


def test_a_machine_without_an_esp_asks_as_well(place: Place) -> None:
    """It was started from a medium that nobody writes."""
    machine = place.machine("live")
    started(machine)
    shutil.rmtree(machine.linux)
    agent = machine.agent()
    drive(agent, State.IDLE)
    agent.step()
    assert machine.public in place.waiting()


def test_the_key_of_a_box_that_lives_counts_until_the_new_machine_reports(place: Place) -> None:
    place.publish(NAME, 5)
    old, new = place.machine("old"), place.machine("new")
    drive(adopted(place, old), State.REBOOTING)
    agent = started(old)
    drive(agent, State.IDLE)
    agent.step()
    place.says(NAME, key=new.public)
    fresh = waiting(new)
    place.round()
    row = place.store.boxes.row(NAME)
    assert row and row.public_key == old.public
    fresh.step()
    fresh.step()
    row = place.store.boxes.row(NAME)
    assert row and row.public_key == new.public
    assert "HTTP 403" in agent.reporter.send(agent.tell())


def test_a_revoked_key_and_the_key_of_another_box_get_no_name(place: Place) -> None:
    place.publish(NAME, 5)
    machine = place.machine("new")
    waiting(machine)
    desk.let_in(place.store, "site-1", machine.public)
    place.says("site-1")
    place.says(NAME, key=machine.public)
    assert place.round() == {}
    assert "its key is that of site-1" in place.told("Refused")[0]
    desk.revoke(place.store, "site-1")
    desk.let_in(place.store, NAME, machine.public)
    desk.revoke(place.store, NAME)
    assert place.round() == {} and "was revoked" in place.told("Refused")[0]


def test_a_report_without_a_proof_of_its_key_leaves_nothing(place: Place) -> None:
    machine = place.machine("new")
    agent = started(machine)
    stranger = place.machine("stranger").public
    envelope = agent.reporter.envelope(agent.reporter.text(agent.tell()))
    agent.reporter.http.pause = lambda _: None
    with pytest.raises(NetError, match="403"):
        agent.reporter.http.post(agent.reporter.url, envelope.replace(machine.public.encode(), stranger.encode()))
    assert place.waiting() == {}
