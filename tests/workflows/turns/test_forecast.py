"""What the last commits would have done under the rules of today: a real clone, and commits with their real times."""

import json
from pathlib import Path

import pytest

from gitops.errors import SourceError
from gitops.rollout.simulating.boxes import Habits
from gitops.workflows.turns.forecast import forecast
from tests.kit.console import toweros
from tests.kit.site import HELLO, WORSE, Site

MISTAKE = {"roles/vm.yaml": "boot: [boot/none.yml]\n"}
GOOD = {"roles/vm.yaml": "boot: [boot/a.yml]\n"}
SLOW = {"fleet.yaml": "source: {branch: main}\nrollout: {waves: [{name: lab, boxes: [a], soak: 2 days}]}\n"}


def commit(site: Site, change: dict[str, str | None], day: int) -> None:
    site.remote.env["GIT_COMMITTER_DATE"] = site.remote.env["GIT_AUTHOR_DATE"] = f"2026-11-{day:02} 10:00:00 +0000"
    site.commit(change)


@pytest.fixture
def clone(site: Site) -> Path:
    """Three boxes; a good change, one with a mistake, the mistake mended, two changes a day apart, and a soak."""
    commit(site, {"README.md": "a fleet\n"}, 1)
    commit(site, {**HELLO}, 2)
    commit(site, {**MISTAKE}, 5)
    commit(site, {**GOOD}, 6)
    commit(site, {**WORSE}, 10)
    commit(site, {**HELLO}, 11)
    commit(site, {**SLOW}, 12)
    return site.remote.work


def test_each_commit_says_what_it_would_have_done(clone: Path) -> None:
    found = forecast(clone, "HEAD", 6, Habits())
    said = [(row.packages, row.boxes, row.took is not None, bool(row.mistakes)) for row in found.rows]
    assert said == [
        (1, 3, True, False),
        (0, 0, False, True),
        (said[2][0], 0, False, False),  # after a mistake everything counts as new, and no box restarts for it
        (1, 3, False, False),  # overtaken after a day of two
        (1, 3, True, False),
        (0, 0, False, False),
    ]
    assert found.rows[0].took is not None and found.rows[0].took > 2 * 86400
    assert [row.done and row.done - row.time for row in found.rows] == [row.took or 0 for row in found.rows]
    assert found.restarts == {"a": 3, "b": 2, "c": 2}


def test_the_command_tells_it(clone: Path) -> None:
    said = toweros("forecast", "-C", clone, "--commits", "3")
    assert "overtaken" not in said.stdout.splitlines()[-1] and "most often: a 2" in said.stderr
    rows = json.loads(toweros("forecast", "-C", clone, "--commits", "3", "-o", "json").stdout)["rows"]
    assert [row["boxes"] for row in rows] == [3, 3, 0]


def test_a_commit_dated_in_another_age_holds_up_nothing(site: Site) -> None:
    """Whoever commits dates as they like: a clock that had to jump three million years would jump for ever."""
    commit(site, {"README.md": "a fleet\n"}, 1)
    for date, change in (("@1000 +0000", HELLO), ("@99999999999999 +0000", WORSE)):
        site.remote.env["GIT_COMMITTER_DATE"] = site.remote.env["GIT_AUTHOR_DATE"] = date
        site.commit(change)
    said = toweros("forecast", "-C", site.remote.work, "--commits", "2", "-o", "table")
    assert said.exit_code == 0 and "1970-01-01" in said.stdout and "no date" in said.stdout


def test_a_clone_of_one_commit_says_what_to_fetch(site: Site, tmp_path: Path) -> None:
    site.remote.git("clone", "-q", "--depth", "1", f"file://{site.remote.work}", str(tmp_path / "one"))
    with pytest.raises(SourceError, match="no commit before this one"):
        forecast(tmp_path / "one", "HEAD", 3, Habits())
