"""What the stories of real boxes share."""

from collections.abc import Generator, Iterator

import pytest

from gitops.lab.hardware import SERIAL_LOG
from tests.e2e.field import STATIC, Field
from tests.kit import built

FOLDERS = pytest.StashKey[pytest.TempPathFactory]()
SHOWN = 120
"""Last lines of a console that a failing story shows: enough for a panic, or for a boot and the one before."""


@pytest.fixture(scope="session")
def field() -> Iterator[Field]:
    """A fleet in the field, alone with it: one process tells all of its stories, and another has another fleet."""
    with built.one_of("field", "field-2") as name:
        made = Field(built.FOLDER / name, STATIC)
        made.apply()
        made.serve()
        yield made
        made.close()


@pytest.fixture(autouse=True, scope="session")
def folders(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where the machines of all stories are."""
    request.config.stash[FOLDERS] = tmp_path_factory


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A story that fails on a machine that nobody can look at afterwards shows what its boxes said last."""
    report = yield
    if report.failed and FOLDERS in item.config.stash:
        since = call.start - 1
        for path in sorted(item.config.stash[FOLDERS].getbasetemp().rglob(SERIAL_LOG)):
            if path.is_file() and path.stat().st_mtime >= since:
                last = path.read_text(errors="replace").splitlines()[-SHOWN:]
                report.sections.append((f"console of {path.parent.name}", "\n".join(last)))
    return report
