"""Where the tests work, and how they are dealt out to processes."""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from xdist.scheduler import LoadScopeScheduling

os.environ.pop("COLUMNS", None)  # xdist sets it: what is not a terminal has no width

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
    "test_box.py": "field", "test_faults.py": "field",
    "test_media.py": "another field", "test_bios.py": "another field", "test_netboot.py": "another field",
    "test_tpm.py": "another field", "test_choosing.py": "another field", "test_install.py": "another field",
    "test_docker_builder.py": "engine", "test_user_containers.py": "engine",
}  # fmt: skip
"""Files that need the same thing, alone: one process tells all of their stories, in order. Of fields there are two: who
is in neither of their groups would wait for one until the end."""
FIRST = [
    "workflows/record/test_record.py", "agent/test_power_cut.py", "agent/test_boot_loader.py",
    "e2e/test_box.py", "e2e/test_faults.py",
    "e2e/test_build.py", "test_packaging.py", "pkg/test_settle.py",
    "e2e/test_nitb.py",
    "e2e/test_media.py", "e2e/test_bios.py", "e2e/test_netboot.py", "e2e/test_tpm.py",
    "e2e/test_docker_builder.py", "e2e/test_user_containers.py",
    "e2e/test_formats.py", "e2e/test_image.py",
]  # fmt: skip
"""The long ones start first, so that none is left over at the end. While the first builds the packages, on one CPU,
the second line has work that needs none of them; what nitb lends is built before the engine asks for it."""
HERE = Path(__file__).parent

MEMORY, ENOUGH = Path("/dev/shm"), 3 << 30
"""A file system in memory; the fast tests leave a tenth of these bytes in it, and a package's root is a fifth."""
MANY_FILES = 200
SELDOM = 500
"""Collections of the middle generation for one of everything."""
ROOTS = "mmdebstrap"
"""What unpacks a package's root."""


def pytest_configure(config: pytest.Config) -> None:
    """The fast tests work in memory, where there is enough of it: the product waits for the disk whenever it must, and
    the disk of a machine that does other things as well was a third of their time. Of the end-to-end tests, a package's
    root is unpacked there: dpkg waits for the disk after each file."""
    config.pluginmanager.register(OpenFiles())
    asked = config.option.basetemp or "TMPDIR" in os.environ
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < ENOUGH:
        return
    if config.option.markexpr == "not e2e" and not asked:
        folder = folder_in_memory(config)
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        config.option.basetemp = f"{folder}/p"
    elif config.option.markexpr.startswith("e2e") and not hasattr(config, "workerinput") and shutil.which(ROOTS):
        folder = folder_in_memory(config)
        shim = Path(folder, ROOTS)
        shim.write_text(f'#!/bin/sh\nTMPDIR={folder} exec {shutil.which(ROOTS)} "$@"\n')
        shim.chmod(0o755)
        os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"


def folder_in_memory(config: pytest.Config) -> str:
    """A folder that is gone at the end; not if something is mounted in it: who unpacks a root and is killed leaves the
    machine's own devices there."""
    folder = tempfile.mkdtemp(prefix="t", dir=MEMORY)  # short: gpg's agents put their sockets below it
    Path(folder).chmod(0o755)

    def remove() -> None:
        if f" {folder}/" not in Path("/proc/self/mounts").read_text():
            shutil.rmtree(folder, ignore_errors=True)

    config.add_cleanup(remove)
    return folder


@pytest.fixture(autouse=True)
def logs_of_its_own() -> Iterator[None]:
    """The command line binds the log to its stderr, which ends with a test's."""
    yield
    structlog.reset_defaults()


class ByStory(LoadScopeScheduling):
    """A file's end-to-end tests stay together, in their order; everything else goes wherever there is time."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, _ = nodeid.partition("::")
        folder, _, file = path.rpartition("/")
        return STORIES.get(file, file) if folder.endswith("e2e") else nodeid


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Three processes need not read the fast tests to leave every one of them out."""
    if config.option.markexpr.startswith("e2e") and collection_path.match("test_*.py"):
        return True if b"mark.e2e" not in collection_path.read_bytes() else None
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {HERE / name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(FIRST)))


def pytest_collection_finish() -> None:
    """What was imported stays, and need not be looked through for garbage again and again; nor need what thousands of
    stories left, each time that a quarter more is there: that took a minute of each process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, SELDOM)


class OpenFiles:
    """Stores and clones of a story that is over have files open until they are collected, which memory alone asks for:
    a process that tells thousands of stories would come to the bound of what it may open. What a collection leaves open
    is in use; the next one is when as many again were opened, because it takes as long as a small story."""

    def __init__(self) -> None:
        self._bound = MANY_FILES

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self) -> None:
        if self._open() > self._bound:
            gc.collect()
            self._bound = self._open() + MANY_FILES

    @staticmethod
    def _open() -> int:
        return sum(1 for _ in os.scandir("/proc/self/fd"))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """xdist's own `loadgroup` does not group with every pytest that it allows, and its order is by number."""
    config.option.loadscopereorder = False
    return ByStory(config, log)
