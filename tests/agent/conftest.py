"""What the stories of a simulated box share."""

from collections.abc import Iterator

import pytest

from tests.simulators.update_server import UpdateServer


@pytest.fixture
def server() -> Iterator[UpdateServer]:
    """An update server for the box `demo-1`, with nothing on it yet."""
    with UpdateServer("demo-1") as running:
        yield running
