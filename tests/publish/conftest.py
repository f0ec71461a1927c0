"""A fleet that publishes, and the address that its boxes ask."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.server import create_app, serve
from gitops.settings import Settings
from tests.kit.published import Kit, kit


@pytest.fixture
def here(tmp_path: Path) -> Kit:
    return kit(tmp_path / "fleet")


@pytest.fixture
def url(here: Kit) -> Iterator[str]:
    with serve(create_app(here.store, Settings(state=here.store.paths.root)), "127.0.0.1:0") as address:
        yield address
