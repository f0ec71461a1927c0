"""The box's own services hold a restart off: for as long as they may, and nobody gets more out of it."""

import os
from pathlib import Path

import pytest
from toweros_agent.loop import Agent
from toweros_agent.turn import veto

from tests.simulators.box import Box, State, drive, make
from tests.simulators.update_server import UpdateServer


class Clock:
    """Seconds since the machine was started, as the story goes."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(veto, "ticks", made)
    return made


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    """Runs release 7, and may go to release 8."""
    (tmp_path / "box").mkdir()
    made = Box(tmp_path / "box", server.url, server.root)
    made.install(make(7))
    permits(server, 8)
    return made


def permits(server: UpdateServer, sequence: int) -> None:
    made = make(sequence, service=b"service %d" % sequence)
    for root, data in made.blobs.items():
        server.add_layer(data, root)
    apply = {"lease": sequence, "until": int(server.date()) + 900_000, "veto": 3600}
    server.publish(made.document, made.uki, made.addon, custom={"apply": apply})


def rest(agent: Agent, looks: int = 4) -> State:
    for _ in range(looks):
        drive(agent, State.IDLE, State.REBOOTING)
        if agent.state == State.REBOOTING:
            break
    return agent.state


def on(box: Box) -> Agent:
    agent = box.power_on()
    assert agent
    return agent


def test_a_call_in_progress_holds_it_off_and_is_told(box: Box, server: UpdateServer, clock: Clock) -> None:
    hold = box.run / "hold"
    hold.write_text("a call, cell 7\nand more\n")
    agent = on(box)
    assert rest(agent) == State.IDLE and not box.rebooted
    said = box.report(server)["turn"]
    assert said == {"knows": 1, "spent": 0, "state": "held", "sequence": 8, "why": "held off: a call, cell 7",
                    "until": agent.turn._veto.ends}  # fmt: skip
    hold.unlink()
    assert rest(agent) == State.REBOOTING


def test_a_veto_that_never_ends_ends_at_its_bound(box: Box, server: UpdateServer, clock: Clock) -> None:
    (box.run / "hold.d").mkdir()
    (box.run / "hold.d" / "msc").write_text("for ever")
    agent = on(box)
    assert rest(agent) == State.IDLE
    clock.now += 3599
    assert rest(agent, 1) == State.IDLE
    clock.now += 2
    assert rest(agent) == State.REBOOTING
    assert box.report(server)["turn"]["spent"] == 8  # type: ignore[index]


def test_neither_a_start_nor_another_release_nor_a_new_file_gains_it_time(
    box: Box, server: UpdateServer, clock: Clock
) -> None:
    hold = box.run / "hold"
    hold.write_text("one")
    rest(on(box))
    agent = box.agent()  # the agent is killed, and starts again
    clock.now += 1000
    rest(agent)
    for minutes in range(30):
        clock.now += 60
        hold.unlink()
        hold.write_text(f"{minutes}")
        assert rest(agent, 1) == State.IDLE
    agent = on(box)  # the power fails
    permits(server, 9)
    rest(agent)
    clock.now += 500
    assert rest(agent) == State.IDLE
    clock.now += 1800
    assert rest(agent) == State.REBOOTING and "toweros-9+3.efi" in box.entries()


def test_while_it_may_not_go_anyway_a_veto_costs_nothing(box: Box, server: UpdateServer, clock: Clock) -> None:
    made = make(8, service=b"service 8")
    server.publish(made.document, made.uki, made.addon, custom={"apply": {"lease": 0, "until": 0, "veto": 3600}})
    (box.run / "hold").write_text("a call")
    agent = on(box)
    for _ in range(5):
        rest(agent, 1)
        clock.now += 10_000
    assert agent.history.memory.vetoed == 0
    permits(server, 8)
    assert rest(agent) == State.IDLE and box.report(server)["turn"]["state"] == "held"  # type: ignore[index]


@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "socket", "bytes", "large", "nothing to read"])
def test_whatever_a_hostile_container_puts_there_holds_it_off_and_no_more(
    box: Box, server: UpdateServer, clock: Clock, kind: str
) -> None:
    """It hangs on no pipe, follows no link to the box's key, reads no gigabyte, and tells no escape sequence."""
    (folder := box.run / "hold.d").mkdir()
    path = folder / "x"
    secret = box.disk / "identity" / "box.key"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(secret)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        os.mknod(path, 0o140600)
    elif kind == "bytes":
        path.write_bytes(b"\x1b[2J\x00\xff\nx")
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(8 << 30)
    else:
        for number in range(300):
            (folder / f"{number}").touch()
    agent = on(box)
    assert rest(agent) == State.IDLE
    why = str(box.report(server)["turn"]["why"])  # type: ignore[index]
    assert why.startswith("held off: ") and why.isprintable() and len(why) < 250 and "KEY" not in why
    assert str(veto.said(box.places)).isprintable()
    assert kind in ("bytes", "large") or why == "held off: nobody says why"
    clock.now += 3601
    assert rest(agent) == State.REBOOTING


def app(box: Box, name: str) -> Path:
    """The folder that user containers of this app see."""
    (folder := box.places.holds / name).mkdir(parents=True)
    return folder


def test_a_user_container_holds_it_off_in_its_apps_name_and_takes_back_nobody_elses_veto(
    box: Box, server: UpdateServer, clock: Clock
) -> None:
    """What an app sees is a folder of its own: it ends its own veto, and the other one counts on."""
    nitb, web = app(box, "nitb"), app(box, "web")
    (nitb / "calls").write_text("2 calls\n")
    (web / "upload").write_text("an upload")
    agent = on(box)
    assert rest(agent) == State.IDLE and not box.rebooted
    said = box.report(server)["turn"]
    assert (said["state"], said["why"]) == ("held", "held off: nitb: 2 calls")  # type: ignore[index]
    (nitb / "calls").unlink()
    assert rest(agent) == State.IDLE
    assert box.report(server)["turn"]["why"] == "held off: web: an upload"  # type: ignore[index]
    (web / "upload").unlink()
    assert rest(agent) == State.REBOOTING


def test_apps_that_take_turns_hold_it_off_no_longer_than_one(box: Box, server: UpdateServer, clock: Clock) -> None:
    folders = [app(box, name) for name in ("a", "b", "c")]
    agent = on(box)
    for turn in range(19):  # at the first it fetches, at the second it counts from
        (folders[turn % 3] / "x").touch()
        (folders[turn % 3 - 1] / "x").unlink(missing_ok=True)
        assert rest(agent, 1) == State.IDLE, turn
        clock.now += 200
    assert agent.history.memory.vetoed < 3600
    clock.now += 200
    assert rest(agent) == State.REBOOTING


def test_an_app_leads_the_agent_nowhere_else(box: Box, server: UpdateServer, clock: Clock) -> None:
    """An empty folder holds nothing, a link in it is followed nowhere, and a link in place of a folder is none."""
    app(box, "empty")
    (box.places.holds / "elsewhere").symlink_to(box.disk)
    folder = app(box, "hostile")
    assert veto.said(box.places) is None
    (folder / "x").symlink_to(box.disk / "identity" / "box.key")
    assert veto.said(box.places) == "hostile: nobody says why"
    assert rest(on(box)) == State.IDLE
