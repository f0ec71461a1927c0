"""What is remembered of security updates: when they were looked for, what is on its way, what failed.

In: the store, a clock. Out: documents. Rules: every change is one transaction of the lease's holder; a run is claimed
by the same transaction that sees that it is due, so that no two ever run the same one.

    timetable = Timetable(store, time.time)
    while window := timetable.claim(patching, done): ...
    timetable.finish(window, "2 updates proposed")
"""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace

from gitops.model.updates.patching import Failed, HeldSet, Move, Patching, Proposal, Window, WindowRun
from gitops.model.updates.when import When
from gitops.security.schedule import due
from gitops.security.schedule.choice import is_newer, key_of, set_key
from gitops.store import Store
from gitops.store.notes.documents import Patches, PatchRuns

REMEMBERED = 180 * 86400
"""Seconds: longer than any mirror or feed is away."""
Clock = Callable[[], float]


class Timetable:
    """The runs of every schedule."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._notes, self._clock = store.notes, clock

    def runs(self) -> Mapping[Window, WindowRun]:
        """The last run of each schedule that was ever seen."""
        rows = (self._notes.get(PatchRuns) or PatchRuns()).rows
        return {window: rows[window] for window in Window if window in rows}

    def claim(self, patching: Patching, done: Container[Window] = ()) -> Window | None:
        """The next schedule that is due and not `done`, begun; None: none is. Nothing is written where nothing
        changes."""
        now, rows = int(self._clock()), self.runs()
        for window, when in patching.windows().items():
            run = rows.get(window, WindowRun())
            if window in done or (due.counted(run, now) == run and not due.due(when, run, now)):
                continue
            if self._begin(window, when, now):
                return window
        return None

    def _begin(self, window: Window, when: When, now: int) -> bool:
        """Begin it in the transaction that sees whether it is due. Returns whether it was."""
        is_due = False

        def change(run: WindowRun) -> WindowRun:
            nonlocal is_due
            run = due.counted(run, now)
            is_due = due.due(when, run, now)
            return due.claimed(run, now) if is_due else run

        self._change(window, change)
        return is_due

    def begin(self, window: Window) -> None:
        """Begin one whether it is due or not."""
        now = int(self._clock())
        self._change(window, lambda run: due.claimed(run, now))

    def ask(self, patching: Patching) -> None:
        """Have every schedule run at the controller's next look."""
        now = int(self._clock())
        for window in patching.windows():
            self._change(window, lambda run: replace(due.counted(run, now), asked=now))

    def finish(self, window: Window, outcome: str, error: str = "", retry: int | None = None) -> None:
        now = int(self._clock())
        self._change(window, lambda run: due.finished(run, now, outcome, error, retry))

    def _change(self, window: Window, make: Callable[[WindowRun], WindowRun]) -> WindowRun:
        def change(runs: PatchRuns) -> PatchRuns:
            return PatchRuns({**runs.rows, window: make(runs.rows.get(window, WindowRun()))})

        return self._notes.change(PatchRuns, change).rows[window]


class Memory:
    """Proposals, held sets, and since when each update is known."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._notes, self._clock = store.notes, clock

    @property
    def now(self) -> int:
        """Unix seconds."""
        return int(self._clock())

    @property
    def patches(self) -> Patches:
        return self._notes.get(Patches) or Patches()

    def keep(self, name: str, proposal: Proposal) -> None:
        if self.patches.proposals.get(name) != proposal:
            self._change(lambda old: replace(old, proposals={**old.proposals, name: proposal}))

    def forget(self, name: str) -> None:
        self._change(lambda old: replace(old, proposals=_without(old.proposals, {name})))

    def hold(self, moves: Iterable[Move], failed: Failed, why: str) -> None:
        """Do not offer this set again."""
        held = HeldSet(tuple(moves), failed, why, int(self._clock()))
        self._change(lambda old: replace(old, held={**old.held, set_key(held.moves): held}))

    def see(self, moves: Iterable[Move]) -> Patches:
        """Note since when updates are known. A look that finds less, or older ones, forgets nothing: mirrors do that.
        What is replaced by something newer is forgotten, held or not, and so is what is very old and not among these.
        Nothing is known from later than now: a clock that was ahead would turn the order of what comes next."""
        now, every, old = int(self._clock()), tuple(moves), self.patches
        found, keys = {move.source: move.new for move in every}, set(map(key_of, every))
        seen = {
            key: min(since, now) for key, since in old.seen.items() if key in keys or _counts(found, key, since, now)
        }
        seen |= {key: now for key in sorted(keys - seen.keys())}
        held = {
            name: each
            for name, each in old.held.items()
            if all(_counts(found, key_of(move), each.since, now) for move in each.moves)
        }
        if (seen, held) == (old.seen, old.held):
            return old
        return self._change(lambda old: replace(old, seen=seen, held=held))

    def looked(self, window: Window, stamp: str) -> None:
        """What the last whole run of a schedule looked at."""
        self._change(lambda old: replace(old, looked={**old.looked, window: stamp}))

    def _change(self, make: Callable[[Patches], Patches]) -> Patches:
        return self._notes.change(Patches, make)


def _counts(found: Mapping[str, str], key: str, since: int, now: int) -> bool:
    """Whether what is remembered of an update is worth it: it is not too old, and nothing newer was found."""
    source, _, versions = key.partition(" ")
    return now - since < REMEMBERED and not is_newer(found.get(source, versions), versions)


def _without(rows: Mapping[str, Proposal], names: set[str]) -> dict[str, Proposal]:
    return {name: row for name, row in rows.items() if name not in names}
