"""A trial whose boot entry a power cut took: the entry is taken back, or the trial ends; it is never a blessed run."""

from pathlib import Path

import pytest
from toweros_agent.loop import Agent
from toweros_agent.nouns import Verdict

from tests.simulators.box import SIGNED, Box, State, drive, make
from tests.simulators.update_server import UpdateServer

NEW = SIGNED + b"kernel 2"


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    """Runs release 7 and has taken 8, which was not started yet."""
    made = Box(tmp_path, server.url, server.root)
    made.install(make(7, probation=0))
    new = make(8, service=b"two", uki=NEW, probation=0)
    for root, data in new.blobs.items():
        server.add_layer(data, root)
    server.publish(new.document, new.uki, new.addon)
    agent = made.power_on()
    assert agent
    drive(agent, State.REBOOTING)
    return made


def checked(box: Box, *, gathered: bytes) -> Agent:
    """A first try of 8 of whose two records fsck emptied the one that was started."""
    agent = box.power_on()
    assert agent and agent.boot.entry == "toweros-8+2-1.efi"
    (box.linux / agent.boot.entry).write_bytes(b"")
    (box.linux / "toweros-8.efi.new").write_bytes(gathered)
    return box.agent()


def test_the_emptied_entry_is_taken_back_with_its_tries_and_its_trial_goes_on(box: Box) -> None:
    agent = checked(box, gathered=NEW)
    assert agent.trial and agent.watchdog.until, "a trial, with an end"
    assert box.entries() == ["toweros-7.efi", "toweros-8+2-1.efi"]
    drive(agent, State.IDLE)
    assert box.bootable() == [7, 8] and (box.linux / "toweros-8.efi").read_bytes() == NEW


def test_a_trial_without_its_entry_ends_without_a_verdict_and_goes_back(box: Box) -> None:
    agent = checked(box, gathered=NEW[:-1])
    assert agent.trial and agent.watchdog.until
    drive(agent, State.REBOOTING)
    (failure,) = agent.history.memory.failures
    assert failure.verdict == Verdict.INDETERMINATE and "its boot entry is gone" in failure.reason
    again = box.agent()
    assert drive(again, State.REBOOTING) and len(again.history.memory.failures) == 1
    back = box.power_on()
    assert back and back.boot.sequence == 7


def test_the_last_boot_of_all_is_never_left_for_nothing(box: Box) -> None:
    agent = checked(box, gathered=b"")
    (box.linux / "toweros-7.efi").unlink()
    agent = box.agent()
    assert drive(agent, State.IDLE) == State.IDLE
