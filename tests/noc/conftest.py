"""An origin that offers release 7 to one box, and a site that has all of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.nocs import Noc, noc, offer, release
from tests.simulators.update_server import UpdateServer


@pytest.fixture
def server() -> Iterator[UpdateServer]:
    with UpdateServer("demo-1") as running:
        offer(running, release(7, b"one"))
        yield running


@pytest.fixture
def here(server: UpdateServer, tmp_path: Path) -> Iterator[Noc]:
    with noc(tmp_path / "noc", server, boxes=("demo-1",)) as running:
        running.once()
        yield running
