"""What the stories of a simulated box share."""

import time
from collections.abc import Iterator

import pytest

from tests.simulators.update_server import UpdateServer


@pytest.fixture
def server() -> Iterator[UpdateServer]:
    """An update server for the box `demo-1`, with nothing on it yet."""
    with UpdateServer("demo-1") as running:
        yield running


@pytest.fixture(autouse=True)
def _own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent sets a clock that is behind: not that of whoever runs the tests."""

    def refuse(*_: object) -> None:
        raise PermissionError("a story sets no clock")

    monkeypatch.setattr(time, "clock_settime", refuse)
