"""`toweros events` and `toweros logs`: what happened, what a box said of it, and what comes next."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gitops.cli.reaching.events import beginning
from gitops.errors import TowerosError
from gitops.model import Event, EventType, Failure, Health, Phase, Report, Reset, Verdict
from gitops.store import Store
from gitops.store.history.events import append
from tests.kit.console import toweros
from tests.kit.told import HOSTILE

TOWEROS = [Path(sys.executable).parent / "python", "-c", "from gitops.cli.main import main; main()"]
NOW = 1_790_000_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    here = Store.open(tmp_path / "state")
    with here._database.write() as connection:
        append(connection, [
            Event(NOW - 90_000, "gw", EventType.NORMAL, "Runs", "release 1"),
            Event(NOW - 50, "", EventType.WARNING, "Forge", "away"),
            Event(NOW - 40, "gw", EventType.WARNING, "FellBack", "release 2"),
            Event(NOW - 30, "late", EventType.NORMAL, "Runs", "release 2"),
        ])  # fmt: skip
    return here


def told(store: Store, *words: str) -> list[str]:
    done = toweros("events", *words, "--state", store.paths.root, "-o", "json")
    assert done.exit_code == 0, done.exception
    return [f"{row['box']} {row['reason']}" for row in json.loads(done.stdout)]


def test_events_are_chosen_by_box_kind_and_time(store: Store) -> None:
    assert told(store) == ["gw Runs", " Forge", "gw FellBack", "late Runs"]
    assert told(store, "gw") == ["gw Runs", "gw FellBack"] == told(store, "--box", "gw")
    assert told(store, "late", "--box", "controller") == [" Forge", "late Runs"]
    assert told(store, "--kind", "warning", "--box", "gw") == ["gw FellBack"] == told(store, "--kind", "fellback")
    assert told(store, "--since", "2026-09-21T14:12:36") == ["gw FellBack", "late Runs"]
    assert told(store, "-n", "1") == ["late Runs"]


def test_a_time_is_a_while_or_a_date() -> None:
    assert beginning("2h", NOW) == NOW - 7200 and beginning("30min", NOW) == NOW - 1800 and beginning("", NOW) == 0
    assert beginning("2026-09-21T16:13:20+02:00", NOW) == NOW and beginning("999999w", NOW) == 0
    for wrong in ("yesterday", "2 h", "9" * 30 + "d", "2026-13-01", "-1h", "2026-11-29T25:00"):
        with pytest.raises(TowerosError, match="is no time"):
            beginning(wrong, NOW)


def test_who_follows_hears_each_event_once(store: Store) -> None:
    words = [*TOWEROS, "events", "-f", "-n", "2", "-o", "json", "--state", str(store.paths.root)]
    follower = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert follower.stdout and follower.stderr
    heard = [json.loads(follower.stdout.readline())["reason"] for _ in range(2)]
    for number in range(5):
        store.events.add("gw", EventType.NORMAL, f"New{number}", HOSTILE["markup"])
    heard += [json.loads(follower.stdout.readline())["reason"] for _ in range(5)]
    assert heard == ["FellBack", "Runs", *(f"New{number}" for number in range(5))]
    follower.stdout.close()
    assert follower.wait(30) == 141 and follower.stderr.read() == ""


def test_logs_are_what_the_last_report_carries_and_say_so(store: Store) -> None:
    failure = Failure(2, "r2", Verdict.FAILED, "hello: 500", NOW, f"cannot bind\n{HOSTILE['escape']}")
    checks = ({"name": "hello", "ok": False, "message": "500"}, {"name": "sshd", "ok": True, "message": "fine"})
    said = {"failures": (failure,), "checks": checks, "degraded": ("sshd: died",), "resets": (Reset(1, NOW, "mount"),)}
    known = ("gw", "boot", 1, NOW, "1", 1, "a" * 64, "a" * 64, Phase.IDLE, Health.DEGRADED, "no space")
    report = Report(*known, **said)  # type: ignore[arg-type]
    store.boxes.enroll("gw", "ab" * 32)
    store.boxes.save_report(report, int(time.time()))
    done = toweros("logs", "gw", "--state", store.paths.root)
    assert [line.partition("  ")[2] for line in done.stdout.splitlines()] == [
        "release 2  failed: hello: 500", "release 2  cannot bind", "release 2  ?[2J?]0;owned??31m",
        "release 1  the watchdog reset it; it was doing: mount", "degraded  sshd: died", "offer  no space",
        "check hello  500",
    ]  # fmt: skip
    assert "as gw reported it" in done.stderr and "toweros box ssh gw -- tail -n 100 /var/log/NAME.log" in done.stderr
    rows = json.loads(toweros("logs", "gw", "sshd", "--state", store.paths.root, "-o", "json").stdout)
    assert [row["line"] for row in rows] == ["sshd: died"]
    assert "nothing of it" in toweros("logs", "gw", "nitb", "--state", store.paths.root).stdout
    assert isinstance(toweros("logs", "nobody", "--state", store.paths.root).exception, TowerosError)
