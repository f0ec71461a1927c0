"""A reset by the watchdog is told as one, with what the agent was doing: on the disk before it, in the report after."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from toweros_agent import deadlines
from toweros_agent.host.watchdog import Watchdog
from toweros_agent.nouns import Refused, Reset, Verdict

from tests.simulators import rude
from tests.simulators.box import Box, State, drive, make
from tests.simulators.rude import Rude
from tests.simulators.update_server import UpdateServer

BARK = 0.2


@pytest.fixture
def server() -> Iterator[UpdateServer]:
    with UpdateServer("demo-1") as running:
        made = make(7)
        running.publish(made.document, made.uki, made.addon)
        yield running


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    (tmp_path / "box").mkdir()
    made = Box(tmp_path / "box", server.url, server.root)
    made.install(make(7))
    return made


@pytest.fixture
def bark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "BARK", BARK)
    monkeypatch.setattr(deadlines, "FED_EVERY", 0.01)


def until(true: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.01)


def resets(box: Box, server: UpdateServer) -> list[dict[str, object]]:
    """What the next boot reports."""
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    agent.step()
    return box.report(server)["resets"]  # type: ignore[return-value]


def test_what_hung_is_on_the_disk_before_the_reset_and_in_the_report_after_it(
    box: Box, server: UpdateServer, tmp_path: Path, bark: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    record = agent.history.near_reset
    agent.guard()
    with Rude(rude.silent) as mute:
        agent.trust.url, agent.http.silence = mute.url, 60.0
        agent.watchdog.fed = time.monotonic()

        def cut() -> None:
            until(lambda: mute.asked > 0 and record.exists() and "recv_into" in record.read_text())
            shutil.copy(record, tmp_path / "copy")
            mute.hang_up()

        thread = threading.Thread(target=cut)
        thread.start()
        agent.step()
        thread.join()
    agent.watchdog.feed()
    monkeypatch.setattr(deadlines, "BARK", 60.0)
    until(lambda: not record.exists())  # it went on: there was no reset
    assert resets(box, server) == []
    shutil.copy(tmp_path / "copy", record)
    (reset,) = resets(box, server)
    assert reset["sequence"] == 7 and abs(int(str(reset["time"])) - time.time()) < 60
    assert str(reset["doing"]).startswith("idle: in step > poll > look > changed > ")
    assert "recv_into (connections.py:" in str(reset["doing"]) and "not fed for" in str(reset["doing"])
    assert [each["doing"] for each in resets(box, server)] == [reset["doing"]], "told once, and kept"


def test_a_healthy_agent_writes_nothing_down(box: Box, server: UpdateServer, bark: None) -> None:
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    agent.guard()
    written: list[str] = []
    end = time.monotonic() + 4 * BARK
    before = {path: path.stat().st_mtime_ns for path in (box.disk / "state").iterdir()}
    while time.monotonic() < end:
        agent.wait(0.02)
        written += [path.name for path in (box.disk / "state").iterdir() if path not in before]
    assert written == [] and before == {path: path.stat().st_mtime_ns for path in (box.disk / "state").iterdir()}


def test_a_step_without_an_end_is_not_fed_for_ever(tmp_path: Path) -> None:
    (tmp_path / "watchdog").touch()
    dog = Watchdog(tmp_path / "watchdog", None)
    dog.allow(0.05)
    time.sleep(0.06)
    before, dog.fed = (tmp_path / "watchdog").read_bytes(), float("-inf")
    dog.feed()
    assert (tmp_path / "watchdog").read_bytes() == before, "it ticks, and comes to no end"
    dog.allow(5)
    assert len((tmp_path / "watchdog").read_bytes()) == len(before) + 1


def test_a_watchdog_that_somebody_still_holds_is_opened_as_soon_as_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "watchdog"
    monkeypatch.setattr("toweros_agent.host.watchdog.AGAIN", 0.0)
    dog = Watchdog(device, None)
    dog.feed()
    assert not dog.armed
    device.touch()
    dog.feed()
    assert dog.armed and device.read_bytes() == b"\0"
    late = Watchdog(tmp_path / "other", time.monotonic())
    (tmp_path / "other").touch()
    late.feed()
    assert not late.armed, "past the deadline not even that"


def test_a_box_without_a_watchdog_writes_no_record_of_a_reset(tmp_path: Path, bark: None) -> None:
    dog = Watchdog(tmp_path / "none", None)
    dog.guard(tmp_path / "record", dict)
    time.sleep(2 * BARK)
    assert not (tmp_path / "record").exists()


def test_the_device_knows_of_a_reset_that_nobody_could_write_down(box: Box, server: UpdateServer) -> None:
    device = box.root / "sys" / "class" / "watchdog" / "watchdog0"
    device.mkdir(parents=True)
    (device / "bootstatus").write_text("0\n")
    assert resets(box, server) == []
    (device / "bootstatus").write_text("32\n")
    (reset,) = resets(box, server)
    assert (reset["sequence"], "nothing that was written down" in str(reset["doing"])) == (0, True)
    again = box.agent()
    drive(again, State.IDLE)
    assert len(again.history.memory.resets) == 1, "an agent that is started again finds the same one"
    assert len(resets(box, server)) == 2, "the next boot's is another"


def test_an_agent_that_was_killed_while_a_reset_was_near_reports_none(box: Box, server: UpdateServer) -> None:
    agent = box.power_on()
    assert agent
    boot = (box.root / "boot_id").read_text().strip()
    near = f'{{"format":1,"sequence":7,"boot_id":"{boot}","state":"idle","time":1,"doing":"x"}}'
    agent.history.near_reset.write_text(near)
    drive(box.agent(), State.IDLE)
    assert agent.history.memory.resets == [] and not agent.history.near_reset.exists()


def test_a_release_that_the_watchdog_left_says_what_it_was_doing(box: Box, server: UpdateServer) -> None:
    made = make(8, service=b"two")
    for root, data in made.blobs.items():
        server.add_layer(data, root)
    server.publish(made.document, made.uki, made.addon)
    agent = box.power_on()
    assert agent
    drive(agent, State.REBOOTING)
    (box.disk / "state" / "near-reset.json").write_text(
        '{"format":1,"sequence":8,"boot_id":"other","state":"probation","time":1,"doing":"in _task (checks.py:9)"}'
    )
    box.hang = True
    back = box.power_on()
    assert back and back.boot.sequence == 7
    drive(back, State.IDLE)
    (failure,) = back.history.memory.failures
    assert failure.verdict == Verdict.INDETERMINATE
    assert failure.reason == "the watchdog reset it; it was doing: probation: in _task (checks.py:9)"


def test_a_verdict_does_not_depend_on_the_record_of_a_reset(box: Box, server: UpdateServer) -> None:
    """Else a release that crashes is taken again and again, and nothing counts its tries."""
    made = make(8, service=b"two")
    for root, data in made.blobs.items():
        server.add_layer(data, root)
    server.publish(made.document, made.uki, made.addon)
    agent = box.power_on()
    assert agent
    drive(agent, State.REBOOTING)
    (box.disk / "state" / "near-reset.json").mkdir()  # neither to be read nor to be removed
    box.hang = True
    back = box.power_on()
    assert back
    drive(back, State.IDLE)
    (failure,) = back.history.memory.failures
    assert (failure.sequence, failure.verdict) == (8, Verdict.INDETERMINATE)
    back.step()
    assert "waits for 60 s" in back.error
    degraded = box.report(server)["degraded"]
    assert any(each.startswith("cannot look for a reset: ") for each in degraded)  # type: ignore[attr-defined]


def test_a_record_that_cannot_be_removed_is_told_once(box: Box, server: UpdateServer) -> None:
    agent = box.power_on()
    assert agent
    record = agent.history.near_reset
    data = b'{"format":1,"sequence":7,"boot_id":"x","state":"idle","time":1,"doing":"y"}'
    for _ in range(2):
        record.write_bytes(data)
        assert len(resets(box, server)) == 1


def test_the_guard_outlives_a_disk_that_takes_nothing(tmp_path: Path, bark: None) -> None:
    (tmp_path / "watchdog").touch()
    (tmp_path / "record").mkdir()
    dog = Watchdog(tmp_path / "watchdog", None)
    guard = dog.guard(tmp_path / "record", dict)
    time.sleep(2 * BARK)
    dog.feed()
    guard.join(BARK)
    assert guard.is_alive()


@pytest.mark.parametrize("data", [b"", b"[", b"[]", b"{}", b'{"format":1,"state":7}', b"[" * 9999, b"\xff"])
def test_a_damaged_record_is_still_a_reset(box: Box, server: UpdateServer, data: bytes) -> None:
    with pytest.raises(Refused, match=r"near-reset\.json"):
        Reset.parse(data)
    if data == b"[":
        (box.disk / "state" / "near-reset.json").write_bytes(data)
        (reset,) = resets(box, server)
        assert "near-reset.json" in str(reset["doing"])
        assert len(resets(box, server)) == 1
