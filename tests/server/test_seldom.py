"""Whoever sends what is refused, and however much of it: the log stays short, and says how much it was."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from gitops.model import canonical
from gitops.server import create_app
from gitops.server.seldom import EVERY, MOST, OTHERS, Seldom
from gitops.settings import Settings
from gitops.store import Store
from tests.kit.contracts import good

FLOOD = 300


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with capture_logs() as found:
        yield found


class Minutes:
    """What waits for the end of a minute, which comes when a test says so."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def wait(self, seconds: float, what: Callable[[], None]) -> None:
        assert seconds == EVERY
        self.waiting.append(what)

    def end(self) -> None:
        waiting, self.waiting = self.waiting, []
        for what in waiting:
            what()


@pytest.mark.parametrize("names", [["demo-1"], [f"box-{number}" for number in range(FLOOD)]], ids=["one", "many"])
def test_a_flood_of_forged_reports_does_not_flood_the_log(tmp_path: Path, lines: list[Any], names: list[str]) -> None:
    store = Store.open(tmp_path)
    forged = canonical({"report": canonical(good("report", "idle")).decode(), "signature": "0" * 128})
    with TestClient(create_app(store, Settings(state=store.paths.root))) as web:
        for number in range(FLOOD):
            path = f"/api/v1/boxes/{names[number % len(names)]}/report"
            assert web.post(path, content=forged).status_code == 403
    told = [line["box"] for line in lines if line["event"] == "report.refused"]
    assert told == (names if len(names) == 1 else [*names[:MOST], OTHERS])


def test_what_goes_on_is_one_line_a_minute_that_counts_and_then_none(lines: list[Any]) -> None:
    minutes = Minutes()
    seldom = Seldom("refused", minutes.wait)
    for _ in range(2):
        for number in range(FLOOD):
            seldom.warn("demo-1", "signature")
            seldom.warn(f"made-up-{number}", "signature")
        minutes.end()
    assert len(minutes.waiting) == 1, "one at a time, however much there is"
    sums = [line for line in lines if line["event"] == "refused.again"]
    assert [each["of"]["demo-1"] for each in sums] == [FLOOD - 1, FLOOD]
    made_up = FLOOD - (MOST - 1)
    assert sums[0]["of"][OTHERS] == made_up - 1 and sums[0]["count"] == FLOOD - 1 + made_up - 1
    assert len(lines) - len(sums) <= 2 * (MOST + 1)
    lines.clear()
    minutes.end()
    assert lines == [] and not minutes.waiting, "nothing came any more"
    seldom.warn("demo-1", "signature")
    assert [line["event"] for line in lines] == ["refused"], "told at once again"
