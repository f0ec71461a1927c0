"""What the stories of places share."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.elsewhere import Origin
from tests.kit.nocs import release
from tests.kit.published import kit


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    """It offers release 8; its boxes run 7."""
    with Origin(kit(tmp_path / "fleet")).served() as served:
        served.offer(release(8))
        yield served


@pytest.fixture(autouse=True)
def _own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent sets a clock that is behind: not that of whoever runs the tests."""

    def refuse(*_: object) -> None:
        raise PermissionError("a story sets no clock")

    monkeypatch.setattr(time, "clock_settime", refuse)
