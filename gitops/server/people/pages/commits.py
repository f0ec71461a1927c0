"""How commits went through the fleet: /commits, and each one's page."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gitops.model import Json
from gitops.model.rollout.course import Course
from gitops.rollout.progress import Progress
from gitops.server.people.documents import AbsentError, Asked
from gitops.server.people.pages.lists import Part
from gitops.server.people.pages.progress import work
from gitops.server.people.pages.query import LIVE, PAGING, Query
from gitops.server.people.pages.rows import Row
from gitops.server.people.pages.snapshot import Snapshots, told
from gitops.server.people.pictures.bars import Bar, bars
from gitops.server.people.pictures.curve import curve
from gitops.store import Store
from gitops.store.notes.directory import Traffic
from gitops.store.notes.documents import PassResult, as_json
from gitops.workflows.turns.told import courses

COMMITS = Query("/commits", {**PAGING, **LIVE})
COMMIT = Query("/commits", LIVE)
NAMED = re.compile("[0-9a-f]{7,40}")
STEPS, DAYS = 100, 14
MB = 1_000_000


@dataclass(frozen=True)
class Listed:
    """A commit in one line. `state`: rolling out, everywhere, or superseded."""

    commit: str
    course: Course
    state: str

    @property
    def share(self) -> float:
        """How much of the fleet runs it and is well, from 0 to 1, when it was last looked at."""
        last = self.course.samples[-1] if self.course.samples else None
        return last.well / self.course.boxes if last and self.course.boxes else 0.0

    def as_json(self) -> Json:
        course = self.course
        times = {"half": course.until(0.5), "most": course.until(0.9), "everywhere": course.until(1)}
        return {"commit": self.commit, "state": self.state, **asdict(course), "seconds_to": times}


class CommitPages:
    """What /commits and /commits/COMMIT show."""

    def __init__(self, store: Store, snapshots: Snapshots) -> None:
        self._store, self._snapshots = store, snapshots

    def commits(self, asked: Asked) -> dict[str, Any]:
        """For the template.

        Raises:
            QueryError: the parameters are wrong.
        """
        view = COMMITS.read(asked.query)
        return {"view": view, "part": Part.of(self._listed(), view), "traffic": self._traffic()}

    def commits_json(self, asked: Asked) -> Json:
        part: Part[Listed] = self.commits(asked)["part"]
        rows = self._store.notes.get(Traffic) or Traffic()
        return {"commits": [each.as_json() for each in part.rows], **part.numbers, "bytes_by_day": dict(rows.rows)}

    def commit(self, asked: Asked) -> dict[str, Any]:
        """For the template.

        Raises:
            AbsentError: nobody remembers such a commit.
            QueryError: the parameters are wrong.
        """
        one = self._one(asked.subject)
        view = Query(f"/commits/{one.commit}", COMMIT.parameters).read(asked.query)
        snapshot = self._snapshots.get()
        done = self._done(one.commit)
        on_it = [row for row in snapshot.rows if one.commit in row.wanted]
        return {
            "view": view, "one": one, "done": done, "now": snapshot.now, "curve": curve(one.course, snapshot.now),
            "rollout": Progress.of(self._store) if one.state != "superseded" else None,
            "work": work(self._store) if one.state == "rolling out" else None,
            "wanted": len(on_it), "trouble": told(self._store, [row for row in on_it if row.trouble][:STEPS]),
            "waiting": sum(bool(row.held) for row in on_it), "steps": STEPS,
        }  # fmt: skip

    def commit_json(self, asked: Asked) -> Json:
        shown = self.commit(asked)
        one: Listed = shown["one"]
        trouble: list[Row] = shown["trouble"]
        done = {"plan": as_json(shown["done"])} if shown["done"] else {}
        failed = {row.box: row.trouble for row in trouble}
        return {**one.as_json(), "wanted": shown["wanted"], "waiting": shown["waiting"], "trouble": failed, **done}

    def _listed(self) -> list[Listed]:
        found: Mapping[str, Course] = courses(self._store)
        newest = next(iter(found), "")
        return [Listed(commit, course, _state(course, commit == newest)) for commit, course in found.items()]

    def _one(self, commit: str) -> Listed:
        if NAMED.fullmatch(commit):
            named = [each for each in self._listed() if each.commit.startswith(commit)]
            if len(named) == 1:
                return named[0]
        raise AbsentError(f"nobody remembers one commit {commit[:40]}")

    def _done(self, commit: str) -> PassResult | None:
        return self._store.notes.get(PassResult, commit)

    def _traffic(self) -> str:
        rows = list((self._store.notes.get(Traffic) or Traffic()).rows.items())[-DAYS:]
        return bars("Bytes that boxes fetched, by day", [Bar(day, size, f"{size / MB:.1f} MB") for day, size in rows])


def _state(course: Course, newest: bool) -> str:
    if course.ended:
        return "everywhere"
    return "rolling out" if newest else "superseded"
