"""What a machine is handed that the network starts, whoever keeps the count: an update server, or a site's own.

In: what such a server knows (`Ground`), a box, the time. Out: a `BootSet`, or None: the network does not start it. The
rules are in `gitops.rollout.netboot`. What is kept of strangers' requests is nothing; of a box's, at most three
moments, written at most once a minute. A box that waits, or that somebody holds, starts what it ran, as one with a disk
does.

    hand_out(ground, "kiosk-3", int(time.time()))
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from gitops.model.machines.netboot import HandedOut
from gitops.rollout.netboot import APART, Heard, counted, falls_back, with_one_more
from gitops.store.notes.netboot import BootSet, BootSets, Starts

DISK = "its own disk"
TELLING = threading.Lock()
"""Of all threads of a server."""


class Ground(Protocol):
    """What one server knows of the boxes that it starts. Nothing of it raises: the box starts all the same."""

    def machine(self, known_by: Iterable[str]) -> str:
        """The box that is known by one of these; "" when none is."""

    def boot_sets(self, box: str) -> BootSets:
        """What was made for it; nothing, where it is not started by the network."""

    def heard(self, box: str) -> Heard:
        """Its last believed report."""

    def installed(self, box: str) -> bool:
        """What the network starts goes onto a disk, and the box has been started from there since."""

    def running(self, box: str) -> str:
        """The release that it said last that it runs; "" when nobody knows."""

    def held(self, box: str) -> bool:
        """Whether something keeps it from the newest."""

    def starts(self, box: str) -> Starts:
        """What was kept; what is damaged is nothing."""

    def keep(self, box: str, starts: Starts) -> None:
        """A disk that is full costs the count."""

    def fell_back(self, box: str, words: str) -> None:
        """Tell people."""


def hand_out(ground: Ground, box: str, now: int, *, count: bool = True, bios: bool = False) -> BootSet | None:
    """What the box is to start now. `count`: it is handed out, and not only looked at; `bios`: iPXE starts it, which
    cannot start each."""
    sets = tuple(each for each in ground.boot_sets(box).sets if not (bios and each.trouble))
    if not sets:
        return None
    newest = sets[0]
    if stays := _held_at(ground, box, sets):
        return stays
    if ran := _ran(ground, box, sets):
        if count:
            ground.keep(box, Starts(ran.release))
        return ran
    starts = known(ground, box, newest.release, now)
    if (proven := way_back(sets)) and falls_back(starts.starts):
        if count:
            tell(ground, box, starts, newest, proven)
        return proven
    if count:
        _one_more(ground, box, starts, now)
    return newest


def by_itself(ground: Ground, box: str, now: int, *, count: bool = True) -> bool:
    """Whether the box starts from its own disk: the last believed report says that it runs from that, and not three
    starts passed since then without a word. Then it is installed once more, with what it ran, which keeps its data."""
    if not ground.installed(box):
        return False
    starts = known(ground, box, DISK, now)
    if falls_back(starts.starts):
        return False
    if count:
        _one_more(ground, box, starts, now)
    return True


def known(ground: Ground, box: str, what: str, now: int) -> Starts:
    """The starts of `what` (a release, by the network; or DISK) that still count."""
    kept = ground.starts(box)
    if kept.release != what:
        return Starts(what)
    heard = ground.heard(box)
    # One that is Healthy with what it fell back to says nothing of the release that did not come up.
    told = heard if what in (DISK, heard.release) else replace(heard, healthy=False)
    return replace(kept, starts=counted(kept.starts, told, now))


def take_over(ground: Ground, box: str, told: Starts, now: int) -> bool:
    """Another server handed these out. Whether they were news: those that count, as if they were ours."""
    sets = ground.boot_sets(box).sets
    what = DISK if ground.installed(box) else sets[0].release if sets else ""
    if not what or told.release != what:
        return False
    before = known(ground, box, what, now)
    both = _apart((*before.starts, *(each for each in told.starts if each.time <= now)))
    if both == before.starts:
        return False
    ground.keep(box, replace(before, starts=both))
    after = known(ground, box, what, now)
    if what != DISK and (proven := way_back(sets)) and falls_back(after.starts):
        tell(ground, box, after, sets[0], proven)
    return True


def way_back(sets: Sequence[BootSet]) -> BootSet | None:
    """What a box is handed when the newest does not come up."""
    return next((each for each in sets[1:] if each.proven), None)


def tell(ground: Ground, box: str, starts: Starts, newest: BootSet, proven: BootSet) -> None:
    """That it falls back; once, however many ask at the same time: whoever does is not known, and people get mail."""
    if starts.told:
        return
    with TELLING:
        if not ground.starts(box).told:
            ground.fell_back(box, f"{words(newest)}; release {proven.sequence} is handed out")
            ground.keep(box, replace(starts, told=True))


def words(newest: BootSet) -> str:
    return f"release {newest.sequence} was started three times by the network, and no Healthy report came"


def _one_more(ground: Ground, box: str, starts: Starts, now: int) -> None:
    more = with_one_more(starts.starts, ground.heard(box), now)
    if more != starts.starts:
        ground.keep(box, replace(starts, starts=more, told=False))


def _apart(starts: Iterable[HandedOut]) -> tuple[HandedOut, ...]:
    """In their order; of those that are too close the first."""
    found = list[HandedOut]()
    for each in sorted(starts, key=lambda each: each.time):
        if not found or each.time - found[-1].time >= APART:
            found.append(each)
    return tuple(found)


def _held_at(ground: Ground, box: str, sets: Sequence[BootSet]) -> BootSet | None:
    """What a box that is held runs, if it came up with that; None: nothing keeps it from the newest."""
    if not ground.held(box):
        return None
    running = ground.running(box)
    return next((each for each in sets if each.release == running and each.proven), None)


def _ran(ground: Ground, box: str, sets: Sequence[BootSet]) -> BootSet | None:
    """What a box is installed with again: what it said last that it is Healthy with. Three silent starts may be the
    tries of the newest release, which would be tried no more once it is installed. None: it was never installed."""
    if not ground.installed(box):
        return None
    running = ground.running(box) if ground.heard(box).healthy else ""
    return next((each for each in sets if each.release == running), next((each for each in sets if each.proven), None))
