"""A signed UKI or addon under the name of another release: told, put right, and left as soon as that is done."""

from pathlib import Path

import pytest
from toweros_agent import deadlines
from toweros_agent.loop import Agent
from toweros_agent.nouns import Verdict

from tests.kit.published import shared_keys
from tests.simulators.box import SIGNED, Box, State, drive, make
from tests.simulators.firmware import SignedVariables
from tests.simulators.update_server import UpdateServer

FIRST, OLD, NEW = SIGNED + b"kernel 1", SIGNED + b"kernel 0", SIGNED + b"kernel 2"


@pytest.fixture(autouse=True)
def just_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes of these stories have the clock of this machine, which is up for longer."""
    monkeypatch.setattr(deadlines, "give_up", lambda before: float("inf"))


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    """Runs release 7, which is what the server offers."""
    made = Box(tmp_path, server.url, server.root)
    made.install(make(7, probation=0, uki=FIRST))
    offer(server, 7, service=b"one", uki=FIRST)
    return made


def offer(server: UpdateServer, sequence: int, service: bytes, uki: bytes) -> None:
    new = make(sequence, service=service, uki=uki, probation=0)
    for root, data in new.blobs.items():
        server.add_layer(data, root)
    server.publish(new.document, new.uki, new.addon)


def settled(box: Box, sequence: int) -> Agent:
    """The box runs this release, and has looked at what is offered."""
    agent = box.power_on()
    assert agent and agent.boot.sequence == sequence
    drive(agent, State.IDLE)
    drive(agent, State.IDLE)
    return agent


def updated(box: Box, server: UpdateServer) -> Path:
    """Runs 8; 7 is the way back. The entry that runs."""
    offer(server, 8, service=b"two", uki=NEW)
    agent = box.power_on()
    assert agent
    drive(agent, State.REBOOTING)
    settled(box, 8)
    return box.linux / "toweros-8.efi"


def told(box: Box, server: UpdateServer) -> str:
    report = box.report(server)
    assert report["health"] == "Degraded"
    return str(report["degraded"])


def test_an_older_signed_uki_under_the_newest_name_is_told_put_right_and_left(box: Box, server: UpdateServer) -> None:
    entry = updated(box, server)
    entry.write_bytes(FIRST)
    agent = settled(box, 8)
    assert "the UKI of toweros-8.efi is another than was signed for release 8: it is put right" in told(box, server)
    assert entry.read_bytes() == NEW and box.entries() == ["toweros-7.efi", "toweros-8.efi"]
    assert agent.history.memory.failures == []
    assert "it ran another UKI than release 8's, which is put right" in agent.upkeep.entries.hopeless
    assert settled(box, 8).upkeep.entries.hopeless == ""


def test_a_box_that_ran_another_uki_starts_again_when_it_is_up_for_some_time_and_says_why(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    updated(box, server).write_bytes(OLD)
    monkeypatch.setattr(deadlines, "give_up", lambda before: 0.0)
    agent = box.power_on()
    assert agent
    drive(agent, State.REBOOTING)
    settled(box, 8)
    assert "started the box again: it ran another UKI than release 8's" in str(box.report(server)["resets"])


def test_a_uki_that_is_nowhere_on_the_box_is_fetched_while_it_is_offered(box: Box, server: UpdateServer) -> None:
    entry = updated(box, server)
    entry.write_bytes(OLD)
    (box.disk / "state" / "uki.efi").unlink()
    agent = settled(box, 8)
    assert entry.read_bytes() == NEW and agent.upkeep.entries.lost == {}


def test_the_first_release_of_a_disk_is_known_from_what_is_signed_for_it(box: Box, server: UpdateServer) -> None:
    settled(box, 7)
    (box.linux / "toweros-7.efi").write_bytes(NEW)
    settled(box, 7)
    assert "UKI of toweros-7.efi is another than was signed for release 7" in told(box, server)
    assert (box.linux / "toweros-7.efi").read_bytes() == FIRST


def test_the_way_back_is_compared_as_well_and_what_cannot_be_put_right_stays_told(
    box: Box, server: UpdateServer
) -> None:
    settled(box, 7)
    updated(box, server)
    (box.linux / "toweros-7.efi").write_bytes(OLD)
    agent = settled(box, 8)
    assert "the UKI of toweros-7.efi is another than was signed for release 7; this box has no other copy" in told(
        box, server
    )
    assert agent.upkeep.entries.hopeless == "", "what runs is right"


def test_another_releases_addon_is_put_right_and_the_release_is_taken_up_again(box: Box, server: UpdateServer) -> None:
    updated(box, server)
    addon = box.linux / "toweros-8.efi.extra.d" / "release.addon.efi"
    ours = addon.read_bytes()
    addon.write_bytes((box.linux / "toweros-7.efi.extra.d" / "release.addon.efi").read_bytes())
    agent = box.power_on()
    assert agent and (agent.boot.sequence, agent.boot.started) == (7, 8)
    drive(agent, State.IDLE)
    assert addon.read_bytes() == ours
    assert "the addon of toweros-8.efi is another than was signed for release 8: it is put right" in told(box, server)
    assert "another entry was started: the addon of" in agent.history.memory.failures[-1].reason


def test_a_trial_of_another_uki_comes_to_no_verdict(box: Box, server: UpdateServer) -> None:
    offer(server, 8, service=b"two", uki=NEW)
    agent = box.power_on()
    assert agent
    drive(agent, State.REBOOTING)
    (box.linux / "toweros-8+3.efi").write_bytes(OLD)
    trial = box.power_on()
    assert trial and trial.trial
    drive(trial, State.REBOOTING)
    (failure,) = trial.history.memory.failures
    assert failure.verdict == Verdict.INDETERMINATE and "has another UKI than was staged" in failure.reason
    back = settled(box, 7)
    assert "waits for 60 s" in back.error


def test_what_is_written_while_the_box_runs_is_noticed_at_the_next_poll(box: Box, server: UpdateServer) -> None:
    entry = updated(box, server)
    agent = settled(box, 8)
    entry.write_bytes(OLD)
    drive(agent, State.IDLE)
    assert entry.read_bytes() == NEW and "toweros-8.efi is another" in told(box, server)


def test_an_esp_that_cannot_be_written_keeps_the_box_degraded(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    updated(box, server).write_bytes(OLD)

    def broken(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("toweros_agent.chain.entries.settle", broken)
    agent = settled(box, 8)
    assert "the UKI of release 8 cannot be put right: [Errno 30]" in told(box, server)
    assert agent.upkeep.entries.hopeless == "", "a new start would not help"


def test_the_same_release_signed_again_takes_the_place_of_nothing_that_runs(box: Box, server: UpdateServer) -> None:
    offer(server, 7, service=b"one", uki=NEW)
    agent = settled(box, 7)
    assert (box.linux / "toweros-7.efi").read_bytes() == FIRST and agent.upkeep.entries.lost == {}
    assert agent.history.memory.staged == {} and box.report(server)["health"] == "Healthy"


def test_what_the_firmware_would_not_start_takes_the_place_of_nothing(box: Box, server: UpdateServer) -> None:
    entry = updated(box, server)
    SignedVariables(box.places.efivars).enrol(shared_keys())  # which signed nothing of this box
    entry.write_bytes(OLD)
    agent = settled(box, 8)
    assert entry.read_bytes() == OLD and "the firmware would not start the copy of it" in told(box, server)
    kept = (box.disk / "state" / "uki.efi").stat().st_ino
    drive(agent, State.IDLE)
    assert (box.disk / "state" / "uki.efi").stat().st_ino == kept, "it is not fetched again and again"
