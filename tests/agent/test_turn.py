"""A box and its turn: what comes is fetched before it, and nothing restarts without a permission that holds."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from toweros_agent.host import room
from toweros_agent.loop import Agent
from toweros_agent.nouns import Refused
from toweros_agent.turn import early
from tuf.api.metadata import TargetFile

from tests.simulators.box import SIGNED, Box, Made, State, drive, make
from tests.simulators.power import cut_at
from tests.simulators.update_server import UpdateServer

EIGHT = make(8, service=b"two", uki=SIGNED + b"kernel 2", probation=0)
NINE = make(9, service=b"three", probation=0)


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    """Runs release 7, which the server offers."""
    (tmp_path / "box").mkdir()
    made = Box(tmp_path / "box", server.url, server.root)
    made.install(make(7))
    offer(server, make(7))
    return made


def put(server: UpdateServer, made: Made) -> None:
    for root, data in made.blobs.items():
        server.add_layer(data, root)


def offer(server: UpdateServer, made: Made, **custom: object) -> None:
    put(server, made)
    server.publish(made.document, made.uki, made.addon, custom=custom)


def comes(server: UpdateServer, made: Made, spread: int = 0, offered: Made | None = None) -> None:
    """`made` waits for its turn."""
    put(server, made)
    offer(server, offered or make(7), next=server.coming(made.document, made.uki, made.addon, spread))


def permits(server: UpdateServer, made: Made = EIGHT, lease: int = 1, seconds: int = 900, **more: object) -> None:
    offer(server, made, apply={"lease": lease, "until": int(server.date()) + seconds, **more})


def rest(agent: Agent, looks: int = 4) -> State:
    """Let it look around: it has to be idle in the end, or on its way down."""
    for _ in range(looks):
        drive(agent, State.IDLE, State.REBOOTING)
        if agent.state == State.REBOOTING:
            break
    return agent.state


def on(box: Box) -> Agent:
    agent = box.power_on()
    assert agent
    return agent


def turn(box: Box, server: UpdateServer) -> dict[str, object]:
    return box.report(server)["turn"]  # type: ignore[return-value]


def layers(box: Box) -> set[str]:
    return {path.name for path in (box.disk / "layers").iterdir()}


# --- before its turn ---


def test_what_is_to_come_is_here_before_its_turn_and_its_turn_fetches_nothing(box: Box, server: UpdateServer) -> None:
    comes(server, EIGHT)
    agent = on(box)
    assert rest(agent) == State.IDLE and not box.rebooted
    assert set(EIGHT.blobs) <= layers(box) and box.entries() == ["toweros-7.efi"]
    assert turn(box, server) == {"knows": 1, "spent": 0, "state": "staged", "sequence": 8}
    assert box.report(server)["health"] == "Healthy"
    permits(server)
    server.requests.clear()
    assert rest(agent) == State.REBOOTING
    assert not [path for path in server.paths() if path.startswith(("/layers", "/targets"))]
    assert turn(box, server) == {"knows": 1, "spent": 1}, "its last word: nothing is to come any more"
    assert box.report(server)["fetched"]["layers"], "of the time before"  # type: ignore[index]
    agent = on(box)
    assert agent.boot.sequence == 8
    drive(agent, State.IDLE)
    assert box.bootable() == [7, 8] and turn(box, server) == {"knows": 1, "spent": 1}
    assert not list((box.disk / "state").glob("*.part"))


def test_a_box_that_comes_late_fetches_when_it_may_go(box: Box, server: UpdateServer) -> None:
    permits(server)
    assert rest(on(box)) == State.REBOOTING and box.entries() == ["toweros-7.efi", "toweros-8+3.efi"]


def test_boxes_of_a_fleet_begin_to_fetch_one_after_the_other(box: Box, server: UpdateServer) -> None:
    comes(server, EIGHT, spread=1_000_000)
    agent = on(box)
    rest(agent)
    assert turn(box, server)["state"] == "fetching" and not set(EIGHT.blobs) <= layers(box)
    agent.turn.early._again = 0.0
    rest(agent)
    assert turn(box, server)["state"] == "staged"


def test_a_disk_that_is_full_refuses_what_is_to_come_and_keeps_what_runs(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(name: str, *_: object) -> None:
        raise Refused(f"no space on {name}: 9 MiB needed, 1 MiB free")

    comes(server, EIGHT)
    agent = on(box)
    with monkeypatch.context() as patch:
        patch.setattr(room, "demand", full)
        assert rest(agent) == State.IDLE
    said = turn(box, server)
    assert said["state"] == "failed" and str(said["why"]).startswith("no space on ")
    assert box.report(server)["error"] == "" and box.bootable() == [7]
    server.requests.clear()
    rest(agent)
    assert set(server.paths()) == {"/metadata/boxes/demo-1/timestamp.json", "/metadata/timestamp.json"}, (
        "not at every look"
    )
    agent.turn.early._again = 0.0
    rest(agent)
    assert turn(box, server)["state"] == "staged"


def test_a_slow_line_is_left_for_a_while_in_which_the_box_hears_what_is_asked(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drips(data: bytes) -> Iterator[bytes]:
        for place in range(0, len(data), 4):
            yield data[place : place + 4]
            time.sleep(0.2)

    comes(server, EIGHT)
    (own,) = set(EIGHT.blobs) - set(make(7).blobs)
    server.faults |= {f"/layers/{own}": drips, f"/layers/{own}.zst": drips}
    monkeypatch.setattr(early.deadlines, "EARLY", 1.2)
    agent = on(box)
    drive(agent, State.FETCHING)
    agent.step()
    assert agent.state == State.IDLE and turn(box, server) == {
        "knows": 1,
        "spent": 0,
        "state": "fetching",
        "sequence": 8,
    }
    monkeypatch.setattr(early.deadlines, "EARLY", 600.0)
    server.faults.clear()
    rest(agent)
    assert turn(box, server)["state"] == "staged"


def test_what_is_here_stays_while_it_is_awaited_over_a_start_and_a_collection(box: Box, server: UpdateServer) -> None:
    comes(server, EIGHT)
    rest(on(box))
    agent = on(box)
    agent.upkeep.collect()
    assert set(EIGHT.blobs) <= layers(box) and rest(agent) == State.IDLE
    server.requests.clear()
    permits(server)
    assert rest(agent) == State.REBOOTING and not [path for path in server.paths() if path.startswith("/layers")]


def test_a_newer_commit_takes_the_place_of_what_is_here(box: Box, server: UpdateServer) -> None:
    comes(server, EIGHT)
    agent = on(box)
    rest(agent)
    comes(server, NINE)
    rest(agent)
    assert turn(box, server)["sequence"] == 9 and set(NINE.blobs) <= layers(box)
    assert not set(EIGHT.blobs) - set(NINE.blobs) - set(make(7).blobs) & layers(box)
    permits(server, NINE)
    assert rest(agent) == State.REBOOTING and box.entries() == ["toweros-7.efi", "toweros-9+3.efi"]


def test_what_is_reverted_goes_from_the_disk_and_never_starts(box: Box, server: UpdateServer) -> None:
    comes(server, EIGHT)
    agent = on(box)
    rest(agent)
    offer(server, make(7))
    assert rest(agent) == State.IDLE and box.bootable() == [7]
    assert layers(box) == set(make(7).blobs) and turn(box, server) == {"knows": 1, "spent": 0}
    assert not list((box.disk / "state").glob("*.part"))


STRIDE = int(os.environ.get("TOWEROS_STRIDE", "17"))
"""Of all changes of the disk, each seventeenth: `test_power_cut.py` has each of them for an update as such."""


def _goes(box: Box) -> None:
    """Before its turn, or in it: by what the server says (this is a process of its own, which the cut ends)."""
    agent = on(box)
    if agent.boot.sequence == 7 and rest(agent) == State.REBOOTING:
        agent = on(box)
    drive(agent, State.IDLE)


@pytest.mark.parametrize("permitted", [False, True], ids=["before its turn", "in its turn"])
def test_power_that_fails_at_any_change_loses_nothing(tmp_path: Path, permitted: bool) -> None:
    seven = make(7, probation=0)
    with UpdateServer("demo-1") as server:
        point, cut = 1, True
        while cut:
            comes(server, EIGHT, offered=seven)
            (folder := tmp_path / str(point)).mkdir()
            box = Box(folder, server.url, server.root)
            box.install(seven)
            if permitted:
                rest(on(box))
                permits(server)
            disks = (box.disk, box.esp, box.root / "efivars")
            cut = cut_at(point, disks, lambda box=box: _goes(box), vfat=box.esp)
            assert set(box.bootable()) & {7, 8}, f"nothing boots after a cut at change {point}"
            assert permitted or box.entries() == ["toweros-7.efi"], "nothing else could start"
            agent = on(box)
            if agent.boot.sequence == 7:
                permits(server, lease=2)  # it said that it does not use the first one any more, or never got it
                assert rest(agent) == State.REBOOTING, f"after a cut at change {point}"
                agent = on(box)
            drive(agent, State.IDLE)
            assert box.bootable() == [7, 8], f"after a cut at change {point}"
            point += STRIDE
        assert point > 20


# --- permissions ---

DAY = 86400


def window(now: float) -> list[list[int]]:
    """One of an hour, that opens in two."""
    at = time.gmtime(now + 7200)
    return [[at.tm_wday * 1440 + at.tm_hour * 60, 60]]


WHY_NOT: dict[str, tuple[Callable[[UpdateServer], None], str, int]] = {
    "none yet": (lambda server: permits(server, lease=0), "it waits for its turn", 0),
    "it ran out": (lambda server: permits(server, seconds=-1), "it waits for its turn", 1),
    "frozen": (lambda server: permits(server, stopped="frozen: ada: storm"), "it waits: frozen: ada: storm", 1),
    "its window": (lambda server: permits(server, windows=window(time.time())), "it waits for its window", 0),
    "moratorium": (
        lambda server: permits(server, moratoria=[["2020-01-01", "2199-01-01"]]),
        "it waits for its window",
        0,
    ),
}


@pytest.mark.parametrize("case", WHY_NOT)
def test_without_a_permission_that_holds_it_is_fetched_and_waits(box: Box, server: UpdateServer, case: str) -> None:
    publish, why, spent = WHY_NOT[case]
    publish(server)
    agent = on(box)
    assert rest(agent, 6) == State.IDLE and not box.rebooted and box.bootable() == [7]
    assert turn(box, server) == {"knows": 1, "spent": spent, "state": "waiting", "sequence": 8, "why": why}
    assert set(EIGHT.blobs) <= layers(box) and box.report(server)["error"] == ""
    permits(server, lease=2)
    assert rest(agent) == State.REBOOTING


def test_an_older_controller_that_knows_no_permissions_is_obeyed_as_ever(box: Box, server: UpdateServer) -> None:
    offer(server, EIGHT)
    assert rest(on(box)) == State.REBOOTING


def test_yesterdays_permission_counts_never_again_whoever_plays_it_and_whatever_the_clock_says(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that froze the metadata at yesterday's, and a box whose clock is there, too."""
    permits(server, seconds=-1)
    assert rest(on(box)) == State.IDLE
    server.date = lambda: time.time() - DAY
    permits(server)
    agent = on(box)
    assert rest(agent) == State.IDLE and turn(box, server)["why"] == "it waits for its turn"
    server.date = time.time
    permits(server, lease=2)
    assert rest(agent) == State.REBOOTING


@pytest.mark.parametrize("wrong", [-56 * 365 * DAY, -2 * DAY, 400 * DAY])
def test_a_clock_that_is_wrong_neither_prolongs_a_permission_nor_ends_one(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch, wrong: int
) -> None:
    """The server's receipts say what time it is, whatever this machine thinks."""
    real = time.time
    server.date = real
    permits(server, seconds=-1)
    agent = on(box)
    drive(agent, State.IDLE)
    agent.history.memory.time = 0
    monkeypatch.setattr("toweros_agent.turn.proof.time.time", lambda: max(real() + wrong, 0))
    assert rest(agent) == State.IDLE and not box.rebooted
    permits(server, lease=2)
    assert rest(agent) == State.REBOOTING


def test_before_the_first_receipt_no_permission_counts(box: Box, server: UpdateServer) -> None:
    permits(server)
    receipts, server.receipts = server.receipts, None  # the metadata name the key; whoever answers has it not
    agent = on(box)
    assert rest(agent) == State.IDLE and agent.turn._why == "it waits for a proof of the time"
    assert [agent.step() for _ in range(4)][-1] == agent.settings.poll, "nobody is asked each second for ever"
    server.receipts = receipts
    assert rest(agent) == State.REBOOTING


def test_where_nobody_signs_receipts_a_clock_that_is_behind_counts_for_nothing(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.receipts = None
    permits(server)
    agent = on(box)
    agent.step()  # which would set the machine's own clock
    agent.history.memory.time = int(time.time()) + DAY
    monkeypatch.setattr(agent.history, "prove_time", lambda *_: None)
    assert rest(agent) == State.IDLE and turn(box, server)["why"] == "it waits for a proof of the time"
    agent.history.memory.time = 0
    assert rest(agent) == State.REBOOTING


def test_a_permission_of_another_box_is_none(box: Box, server: UpdateServer) -> None:
    """Signed by the same keys, and in the same metadata."""
    files = {"release.json": EIGHT.document, "uki.efi": EIGHT.uki, "addon.efi": EIGHT.addon}
    put(server, EIGHT)
    permits(server, lease=0)
    (mine,) = (json.loads(data) for path, data in server.files.items() if "bin" in path and b"demo-1/rel" in data
               and path.startswith(f"/metadata/{server.version}."))  # fmt: skip
    custom = mine["signed"]["targets"]["demo-1/release.json"]["custom"]
    targets = {}
    for name, data in files.items():
        for whose in ("demo-1", "demo-2"):
            targets[f"{whose}/{name}"] = TargetFile.from_data(f"{whose}/{name}", data, ["sha256"])
    targets["demo-1/release.json"].unrecognized_fields["custom"] = custom
    other = custom | {"apply": {"lease": 9, "until": int(time.time()) + 900}}
    targets["demo-2/release.json"].unrecognized_fields["custom"] = other
    server.sign(targets, 1)
    assert rest(on(box)) == State.IDLE and turn(box, server)["why"] == "it waits for its turn"


def test_a_freeze_that_is_heard_in_the_last_moment_wins(box: Box, server: UpdateServer) -> None:
    """It held when the box began to bring the boot files, and is taken back when it asks once more."""
    comes(server, EIGHT)
    agent = on(box)
    rest(agent)
    permits(server)
    drive(agent, State.STAGING)
    permits(server, stopped="frozen: ada: storm")
    assert rest(agent) == State.IDLE and box.bootable() == [7]
    assert turn(box, server) == {
        "knows": 1, "spent": 1, "state": "waiting", "sequence": 8, "why": "it waits: frozen: ada: storm",
    }  # fmt: skip


def test_a_box_that_is_held_gives_back_its_permission_at_once(box: Box, server: UpdateServer) -> None:
    offer(server, EIGHT, apply={"lease": 1, "until": int(server.date()) + 900}, held="ada: storm")
    agent = on(box)
    assert rest(agent) == State.IDLE and turn(box, server) == {"knows": 1, "spent": 1}
    assert box.report(server)["error"] == "release 8 is held: ada: storm"
    permits(server)
    assert rest(agent) == State.IDLE and turn(box, server)["state"] == "waiting", "that one is over"
    permits(server, lease=2)
    assert rest(agent) == State.REBOOTING


def test_what_cannot_be_written_down_is_not_given_back(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is read-only: after a start such a box would not know that it gave the permission back."""
    permits(server, lease=0)
    agent = on(box)
    rest(agent)

    def cannot() -> None:
        raise OSError("Read-only file system")

    monkeypatch.setattr(agent.history, "save", cannot)
    permits(server, seconds=-1)
    rest(agent, 2)
    assert "Read-only" in str(box.report(server)["error"]) and turn(box, server)["spent"] == 0 and not box.rebooted


def test_a_box_that_cannot_ask_keeps_to_its_windows(box: Box, server: UpdateServer) -> None:
    """A permission, then silence: without an answer nothing begins, and when the server is back the window counts."""
    permits(server, windows=window(time.time()))
    agent = on(box)
    rest(agent)
    server.leave()
    assert rest(agent) == State.IDLE and not box.rebooted
    server.come_back()
    assert rest(agent) == State.IDLE and not box.rebooted
