"""An ESP that nobody can write: the tries of a trial are not counted there, and all the same they come to an end.

The firmware and the boot loader are the simulator's, the initrd's part is its own script.
"""

import errno
from pathlib import Path

import pytest
from toweros_agent.loop import Agent
from toweros_agent.nouns import Entry, Verdict

from gitops.model import HealthCheck
from tests.kit.initrd import SHELLS, initrd
from tests.simulators.box import SIGNED, Box, State, drive, make
from tests.simulators.update_server import UpdateServer

HTTP = HealthCheck("hello", "http", "http://127.0.0.1:8080/", contains="ok")
WHY = "the boot loader cannot count the tries of toweros-8+3.efi: the ESP cannot be written"
WORK = 'fail() { echo "$*"; exit 0; }; compare_with_last_start'


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    """Runs 7 and has taken 8, whose check will say no; from then on nobody can write its ESP."""
    (tmp_path / "shell").mkdir()
    made = Box(tmp_path, server.url, server.root)
    made.install(make(7, probation=0))
    new = make(8, service=b"two", uki=SIGNED + b"kernel 2", probation=0, checks=(HTTP,))
    for root, data in new.blobs.items():
        server.add_layer(data, root)
    server.publish(new.document, new.uki, new.addon)
    drive(started(made, 7), State.REBOOTING)
    made.frozen, made.started = True, lambda entry: said(made, entry)
    made.services.status = 503
    return made


def said(box: Box, entry: Entry, shell: str = SHELLS[0]) -> str:
    """What the initrd says of an entry that is started."""
    values = {"DISK": str(box.disk), "EFIVARS": str(box.root / "efivars"), "ENTRY": entry.name}
    return initrd(shell, box.root / "shell", WORK, **values).strip()


def started(box: Box, sequence: int) -> Agent:
    agent = box.power_on()
    assert agent and agent.boot.sequence == sequence
    return agent


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("toweros_agent.host.esp.rename", refuse)
    monkeypatch.setattr("toweros_agent.host.esp.Esp.remove", refuse)


def test_a_condemned_trial_that_keeps_its_tries_is_not_started_for_ever(
    box: Box, server: UpdateServer, read_only: None
) -> None:
    """It began again at every start, and ended at once, for ever."""
    drive(started(box, 8), State.REBOOTING)
    for _ in range(2):  # at each start of the machine
        back = started(box, 7)
        drive(back, State.IDLE)
        (failure,) = back.history.memory.failures
        assert failure.verdict == Verdict.FAILED and "503" in failure.reason
        assert box.report(server)["phase"] == "idle"
        drive(started(box, 8), State.REBOOTING)


def test_a_trial_that_says_nothing_is_left_at_its_second_start_and_the_reason_is_told(
    box: Box, server: UpdateServer, read_only: None
) -> None:
    started(box, 8)  # and it hangs
    back = started(box, 7)
    drive(back, State.IDLE)
    (failure,) = back.history.memory.failures
    assert (failure.verdict, failure.reason) == (Verdict.INDETERMINATE, WHY)
    assert "Read-only file system" in str(box.report(server)["degraded"])


def test_where_the_firmware_alone_cannot_write_the_entry_is_put_behind_the_others(box: Box) -> None:
    started(box, 8)
    drive(started(box, 7), State.IDLE)
    drive(started(box, 7), State.IDLE)
    assert box.bootable() == [7, 8] and "toweros-8+0-3.efi" in box.entries()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_count_that_goes_down_is_left_alone_and_so_is_a_box_without_a_way_back(box: Box, shell: str) -> None:
    for name in ("toweros-8+2-1.efi", "toweros-8+1-2.efi", "toweros-8+0-3.efi", "toweros-7.efi", "toweros-7.efi"):
        entry = Entry.parse(name)
        assert entry and said(box, entry, shell) == "", name
    stands = Entry(8, 3)
    assert [said(box, stands, shell) for _ in range(5)] == ["", WHY, "", WHY, ""], "never twice in a row"
    (number,) = (box.root / "efivars").glob("BootNext-*")
    assert number.read_bytes() == bytes((7, 0, 0, 0, 2, 0))
    for path in (box.root / "efivars").glob("Boot0002-*"):
        path.unlink()
    assert [said(box, stands, shell) for _ in range(3)] == ["", "", ""], "it is better than nothing"
