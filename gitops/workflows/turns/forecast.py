"""What the last commits would have done to the boxes, had they come under the rollout rules of today.

In: a clone, how many commits. Out: of each, packages, boxes that restart, bytes, and when everybody had it; and who
restarts most often. Rules: commits come in the distances that they have in Git, `AFTER` at most, and one that is dated
before the one that it stands on comes with it: whoever commits dates as they like; sizes are estimates, of the locks; a
commit with mistakes changes nothing.

    found = forecast(LocalClone(Path(".")), "HEAD", 20, Habits())
    found.rows[0].boxes, found.restarts["site-7"]
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from pathlib import Path

from gitops.errors import FleetError, SourceError
from gitops.fleet import load_fleet
from gitops.model import Action, Fleet, Revision
from gitops.review.nouns import Summary
from gitops.rollout.simulating.boxes import Habits
from gitops.rollout.simulating.simulator import DAY, Commit, Run, simulate
from gitops.source.clone.commits import LocalClone
from gitops.workflows.preview import Question, preview
from gitops.workflows.turns.previewing import commit_of

AFTER = 60
"""Days that the last commit has to get everywhere."""
LATEST = 4_102_444_800
"""The year 2100 (Unix seconds): windows and time zones are known until then."""


@dataclass(frozen=True)
class Row:
    """A commit. `fetch`: bytes of the box that fetches most; `took`: seconds until nobody waited for it, None: the next
    one came first, or never; `done`: when that would have been (Unix seconds, 0: never); `mistakes`: why it changes
    nothing."""

    commit: str
    time: int
    packages: int = 0
    boxes: int = 0
    fetch: int = 0
    took: int | None = None
    done: int = 0
    mistakes: str = ""


@dataclass(frozen=True)
class Forecast:
    """The oldest commit is the first row; `restarts`: box -> how often; `together`: how many at once at most; `floors`:
    name of a floor that is one of these commits -> the boxes that restart into it before they take what came later."""

    rows: tuple[Row, ...]
    restarts: Counter[str] = field(default_factory=Counter)
    together: int = 0
    floors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def forecast(folder: Path, head: str, number: int, habits: Habits) -> Forecast:
    """The last `number` commits up to `head`, along first parents.

    Raises:
        SourceError: there is no such commit, or the clone is damaged. FleetError: the head has mistakes.
    """
    clone = LocalClone(folder)
    points = _points(clone, clone.revision(head), number)
    fleet = load_fleet(clone.tree(points[-1]))
    rows, commits, distances = list[Row](), list[Commit](), _distances(points)
    begins = max(min(points[-1].time, LATEST) - distances[-1], 0)
    floors = _floors(clone, fleet)
    for (old, new), distance in zip(pairwise(points), distances, strict=True):
        try:
            summary = preview(Question((old, clone.tree(old)), (new, clone.tree(new)), named=True, dated=False), None)
        except FleetError as error:
            rows.append(Row(new.commit, new.time, mistakes=str(error.problems[0]) if error.problems else error.message))
            continue
        boxes = _restarting(summary)
        if boxes:
            commits.append(Commit(distance, new.commit, boxes, boxes & floors[new.commit].keys()))
        fetch = max((group.fetch[1] for group in summary.groups), default=0)
        rows.append(Row(new.commit, new.time, len(summary.builds), len(boxes), fetch))
    run = simulate(fleet.boxes, fleet.policy, commits, habits, begins=begins, days=distances[-1] // DAY + AFTER)
    found = _told(rows, run, {commit.content: begins + commit.time for commit in commits})
    stops = defaultdict[str, list[str]](list)
    for commit in commits:
        for box, name in sorted(floors.get(commit.content, {}).items()):
            if box in (commit.boxes or ()):
                stops[name].append(box)
    return replace(found, floors={name: tuple(boxes) for name, boxes in stops.items()})


def _told(rows: list[Row], run: Run, came: Mapping[str, int]) -> Forecast:
    """`came`: when each commit came."""
    ends = {commit: came[commit] + took for commit, took in run.took.items() if commit in came}
    took = {commit: end - came[commit] for commit, end in ends.items()}
    told = [replace(row, took=took.get(row.commit), done=ends.get(row.commit, 0)) if row.boxes else row for row in rows]
    together = max((number for (kind, _), number in run.most.items() if kind == "fleet"), default=0)
    return Forecast(tuple(told), Counter(box for _, box in run.offers), together)


def _floors(clone: LocalClone, fleet: Fleet) -> Mapping[str, Mapping[str, str]]:
    """Commit -> the boxes that do not skip it, with its name; one that the clone does not know means nothing here."""
    found = defaultdict[str, dict[str, str]](dict)
    for name in {name for box in fleet.boxes.values() for name in box.floor}:
        with suppress(SourceError):
            found[commit_of(clone, name)] |= {box.name: name for box in fleet.boxes.values() if name in box.floor}
    return found


def _points(clone: LocalClone, head: Revision, number: int) -> list[Revision]:
    """The head and `number` commits before it, the oldest first."""
    found = [head]
    while len(found) <= number and (parents := clone.parents(found[-1].commit)):
        if not clone.has(parents[0]):
            break
        found.append(clone.describe(head.ref, parents[0], clone.count(parents[0])))
    if len(found) < 2:
        raise SourceError("there is no commit before this one", hint="fetch more of the history: git fetch --unshallow")
    return found[::-1]


def _distances(points: list[Revision]) -> list[int]:
    """Of each commit but the first, how many seconds after the first it comes."""
    return [*accumulate(min(max(new.time - old.time, 0), AFTER * DAY) for old, new in pairwise(points))]


def _restarting(summary: Summary) -> frozenset[str]:
    going = (group for group in summary.groups if group.action is Action.UPDATE)
    return frozenset(box for group in going for box in group.boxes)
