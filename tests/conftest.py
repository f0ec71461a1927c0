"""How the tests are dealt out to processes."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = [
    "tests.kit.desk",
    "tests.kit.databases",
    "tests.kit.people",
    "tests.kit.site",
    "tests.kit.trust",
    "tests.kit.updates",
]
"""Whose fixtures every test may ask for."""

STORIES = {
    "test_box.py": "field", "test_faults.py": "field",
    "test_docker_builder.py": "engine", "test_user_containers.py": "engine",
}  # fmt: skip
"""Files that need the same thing, alone: one process tells all of their stories, in order."""
FIRST = ["test_box.py", "test_faults.py", "test_build.py", "test_nitb.py"]
"""The long ones start first, so that none is left over at the end; what the fourth lends is built by then."""


class ByStory(LoadScopeScheduling):
    """A file's end-to-end tests stay together, in their order; everything else goes wherever there is time."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, _ = nodeid.partition("::")
        folder, _, file = path.rpartition("/")
        return STORIES.get(file, file) if folder.endswith("e2e") else nodeid


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """xdist's own `loadgroup` does not group with every pytest that it allows, and its order is by number."""
    config.option.loadscopereorder = False
    return ByStory(config, log)
