"""What boxes said of their turn, as operators read it."""

import json

from gitops.model.rollout.turns import BoxTurn
from gitops.rollout.leases.said import told
from gitops.rollout.progress import Progress
from gitops.rollout.status import box_status, fleet_status
from gitops.server.people.metrics import exposition
from tests.kit.console import toweros
from tests.kit.site import HELLO, Site

HELD = BoxTurn(0, True, "held", 9, "held off: \x1b[2Ja call", 1_795_000_000, 300)


def test_they_are_counted_and_who_is_held_off_is_named() -> None:
    turns = {"a": BoxTurn(state="staged"), "b": BoxTurn(state="staged"), "c": BoxTurn(state="fetching"), "d": HELD}
    turns |= {f"x{number}": BoxTurn(state="failed", why="no space on TOWEROS") for number in range(7)}
    lines = told(turns)
    assert lines[:2] == [
        "staged: 2 boxes have what is to come, and wait for their turn",
        "fetching: 1 box fetch it",
    ]
    assert lines[2].startswith("held: d: held off: ") and lines[2].endswith(", until 2026-11-18 11:06 UTC")
    assert len(lines) == 9 and lines[-1] == "failed: and 2 more"


def test_status_page_api_and_metrics_say_who_is_held_off_why_and_until_when(site: Site) -> None:
    site.run()
    site.report("a")
    site.commit(HELLO)
    store = site.store
    store.notes.put(HELD, "a")
    store.notes.put(BoxTurn(state="staged"), "gone")
    assert Progress.of(store).turns == told({"a": HELD}), "of boxes that there are"
    row = box_status(store, "a", 0)
    assert row and row.as_json()["turn"]["state"] == "held"
    metrics = exposition(fleet_status(store, 0)).decode()
    assert 'toweros_turns{state="held"} 1.0' in metrics and "toweros_vetoed_seconds 300.0" in metrics
    shown = toweros("rollout", "status", "--state", site.settings.state)
    assert "held: a: held off: ?[2Ja call, until 2026-11-18" in shown.stderr.replace("\n", " ")
    one = toweros("status", "a", "--state", site.settings.state).stdout
    assert "held (release 9)" in one and "\x1b[2J" not in one
    whole = json.loads(toweros("status", "-o", "json", "--state", site.settings.state).stdout)
    assert [each["turn"]["until"] for each in whole["boxes"] if "turn" in each] == [1_795_000_000]
