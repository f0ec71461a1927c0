"""Where the tests work, and how they are dealt out to processes."""

import gc
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = [
    "tests.kit.desk",
    "tests.kit.databases",
    "tests.kit.newcomers",
    "tests.kit.people",
    "tests.kit.site",
    "tests.kit.tokens",
    "tests.kit.trust",
    "tests.kit.updates",
]
"""Whose fixtures every test may ask for."""

STORIES = {
    "test_box.py": "field", "test_faults.py": "field", "test_media.py": "field",
    "test_docker_builder.py": "engine", "test_user_containers.py": "engine",
}  # fmt: skip
"""Files that need the same thing, alone: one process tells all of their stories, in order."""
FIRST = ["test_box.py", "test_faults.py", "test_build.py", "test_packaging.py", "test_nitb.py"]
"""The long ones start first, so that none is left over at the end; what the fifth lends is built by then, and what is
before it needs nothing of it."""

MEMORY, ENOUGH = Path("/dev/shm"), 3 << 30
"""A file system in memory; the fast tests leave a tenth of these bytes in it."""


def pytest_configure(config: pytest.Config) -> None:
    """The fast tests work in memory, where there is enough of it: the product waits for the disk whenever it must, and
    the disk of a machine that does other things as well was a third of their time."""
    asked = config.option.basetemp or "TMPDIR" in os.environ
    if asked or config.option.markexpr != "not e2e" or not os.access(MEMORY, os.W_OK):
        return
    if shutil.disk_usage(MEMORY).free < ENOUGH:
        return
    folder = tempfile.mkdtemp(prefix="t", dir=MEMORY)  # short: gpg's agents put their sockets below it
    Path(folder).chmod(0o755)
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    config.option.basetemp = f"{folder}/p"


class ByStory(LoadScopeScheduling):
    """A file's end-to-end tests stay together, in their order; everything else goes wherever there is time."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, _ = nodeid.partition("::")
        folder, _, file = path.rpartition("/")
        return STORIES.get(file, file) if folder.endswith("e2e") else nodeid


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))


def pytest_collection_finish() -> None:
    """What was imported stays, and need not be looked through for garbage again and again."""
    gc.collect()
    gc.freeze()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """xdist's own `loadgroup` does not group with every pytest that it allows, and its order is by number."""
    config.option.loadscopereorder = False
    return ByStory(config, log)
