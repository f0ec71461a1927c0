"""`toweros status BOX` and the API say what an operator asks first, of this box and of an older one."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from gitops.model import Health, Phase, Report
from gitops.model.rollout.turns import BoxTurn
from gitops.rollout.facts import lasted
from gitops.rollout.status import fleet_status
from gitops.server import create_app
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.box_keys import BootChecked
from gitops.store.notes.directory import Place, Roster
from gitops.store.notes.reported import BoxFacts
from tests.kit.console import toweros
from tests.kit.contracts import good

FACTS = good("report", "facts")["facts"]
LINES = {
    "uptime": "1 day, 1 h",
    "kernel": "6.12.57+deb13-amd64",
    "agent": "0.1.0",
    "looks": "every 30 s",
    "memory": "393.0 MiB of 1.9 GiB (19 %)",
    "temperature": "51 °C",
    "clock": "synchronised",
    "role": "vm",
    "site": "Berlin",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store.open(tmp_path)
    for name, facts in (("demo-1", FACTS), ("demo-2", None)):
        made.boxes.enroll(name, name[-1] * 64)
        report = Report(name, "b", 93_021_000, 1, "1", 7, "0" * 64, "1" * 64, Phase.IDLE, Health.HEALTHY, facts=facts)
        made.boxes.save_report(report)
    made.notes.put(Roster({"demo-1": Place("vm", "Berlin")}))
    made.notes.put(BoxFacts(30, 30, FACTS["agent"], FACTS["kernel"], ("192.0.2.7",)), "demo-1")
    return made


def test_a_box_is_said_with_its_place_addresses_disks_and_clock(store: Store) -> None:
    shown = toweros("status", "demo-1", "--state", str(store.paths.root)).stdout
    for name, words in LINES.items():
        assert any(line.split() == [name, *words.split()] for line in shown.splitlines()), (name, shown)
    for words in (
        "eth0: 192.0.2.7/24, 2001:db8::7/64",
        "wlan0: 198.51.100.7/24 (-60 dBm)",
        "esp: 60.0 MiB of 255.0 MiB",
    ):
        assert words in shown
    said = json.loads(toweros("status", "demo-1", "-o", "json", "--state", str(store.paths.root)).stdout)
    assert (said["facts"], said["uptime"], said["site"], said["addresses"]) == (FACTS, 93_021, "Berlin", ["192.0.2.7"])
    with TestClient(create_app(store, Settings(state=store.paths.root))) as web:
        one = web.get("/api/v1/boxes/demo-1").json()
        assert one["facts"] == FACTS and one["uptime"] == 93_021
        rows = web.get("/api/v1/boxes").json()["boxes"]
        assert [row.get("kernel") for row in rows] == [FACTS["kernel"], None], "who says nothing has no member"


def test_a_box_says_its_turn_and_who_brought_its_last_update_in_words(store: Store) -> None:
    store.notes.put(BoxTurn(state="held", sequence=9, why="a call", until=1_790_000_000), "demo-1")
    store.notes.put(BootChecked(True, came=("bundle", "noc")), "demo-2")
    turn, came = "held (release 9): a call, until 2026-09-21 14:13 UTC", "came by a bundle and its site's server"
    for box, words in (("demo-1", turn), ("demo-2", came)):
        assert words in " ".join(toweros("status", box, "--state", str(store.paths.root)).stdout.split())
        assert words in " ".join(toweros("status", "--state", str(store.paths.root)).stdout.split())


def test_why_a_box_is_degraded_is_said_where_its_health_is(store: Store) -> None:
    """The reason is what somebody looks for at three in the morning, and no second command has it alone."""
    why = ("no space on STATE", "service hello: oom killed")
    store.boxes.save_report(
        Report("demo-1", "b", 93_022_000, 1, "1", 7, "0" * 64, "1" * 64, Phase.IDLE, Health.DEGRADED, degraded=why)
    )
    one = toweros("status", "demo-1", "--state", str(store.paths.root)).stdout
    assert "no space on STATE" in one and "oom killed" in one
    said = json.loads(toweros("status", "demo-1", "-o", "json", "--state", str(store.paths.root)).stdout)
    assert said["degraded"] == list(why)
    [row] = [
        line for line in toweros("status", "--state", str(store.paths.root)).stdout.splitlines() if "demo-1" in line
    ]
    assert row.endswith("; ".join(why))
    with TestClient(create_app(store, Settings(state=store.paths.root))) as web:
        assert web.get("/api/v1/boxes/demo-1").json()["degraded"] == list(why)


def test_of_an_older_agent_nothing_is_made_up(store: Store) -> None:
    said = json.loads(toweros("status", "demo-2", "-o", "json", "--state", str(store.paths.root)).stdout)
    assert not {"facts", "uptime", "kernel", "agent", "addresses", "role", "site"} & said.keys()
    assert "uptime" not in toweros("status", "demo-2", "--state", str(store.paths.root)).stdout


def test_an_older_agent_is_silent_by_the_poll_that_git_asks_for(store: Store) -> None:
    day, state = 86_400, store.states.one("demo-2")
    assert state and state.health(state.received + 3600) == Health.MISSING, "25 minutes, as ever"
    store.notes.put(Roster({"demo-2": Place("vm", poll=day), "demo-1": Place("vm", poll=day)}))
    (other, state) = store.states.all()
    assert state.health(state.received + 3600) == state.health(state.received + 2 * day) == Health.HEALTHY
    assert state.health(state.received + 4 * day) == Health.LATE
    assert state.health(state.received + 11 * day) == Health.MISSING
    assert (other.poll, other.every) == (30, 30), "a newer one says what it does"
    assert store.states.one("demo-2") == state


def test_what_is_damaged_of_one_box_costs_no_other_its_line(store: Store) -> None:
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE values_ SET document = '{' WHERE name IN ('facts/demo-1', 'places')")
    assert [box.box for box in fleet_status(store, 5).boxes] == ["demo-1", "demo-2"]
    state = store.states.one("demo-1")
    assert state and (state.poll, state.every) == (30, 600), "as of an older agent"


@pytest.mark.parametrize(
    ("seconds", "words"), [(59, "0 min"), (3600, "1 h, 0 min"), (86_400, "1 day, 0 h"), (200_000, "2 days, 7 h")]
)
def test_how_long_it_is_up_is_said_in_two_units(seconds: int, words: str) -> None:
    assert lasted(seconds) == words
