"""Starts by the network, handed out and counted: the newest release, or the one before when that does not come up.

In: a store, a MAC or UUID or a box's name, the time. Out: a `BootSet`, or None: the network does not start it. The
rules are in `gitops.rollout.netboot`. What is kept of strangers' requests is nothing; of a box's, at most three
moments, written at most once a minute. A box that waits, or that somebody holds, starts what it ran, as one with a disk
does. A store that cannot be written, or a damaged count, costs the count, and no start.

    box = machine(store, ["52:54:00:12:34:56"])
    found = hand_out(store, box, int(time.time()))
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog

from gitops.errors import StoreError, readable
from gitops.model import EventType, Happened, Health
from gitops.rollout import holds
from gitops.rollout.netboot import Heard, counted, falls_back, with_one_more
from gitops.store import Store
from gitops.store.notes.box_keys import BootChecked
from gitops.store.notes.netboot import BootSet, BootSets, Machines, Starts

log = structlog.get_logger(__name__)
DISK = "its own disk"


def machine(store: Store, known_by: Iterable[str]) -> str:
    """The box that is known by one of these; "" when none is."""
    rows = (store.notes.get(Machines) or Machines()).rows
    return next((rows[each] for each in known_by if each in rows), "")


def known_as(store: Store, box: str) -> str:
    """What the box is known by.

    Raises:
        StoreError: the network does not start it.
    """
    rows = (store.notes.get(Machines) or Machines()).rows
    found = next((each for each, name in rows.items() if name == box), "")
    if not found:
        hint = f"write `netboot:` into boxes/{box}.yaml, and `toweros apply`"
        raise StoreError(f"the network does not start {box}", hint=hint)
    return found


def hand_out(store: Store, box: str, now: int, *, count: bool = True, bios: bool = False) -> BootSet | None:
    """What the box is to start now. `count`: it is handed out, and not only looked at; `bios`: iPXE starts it, which
    cannot start each."""
    sets = tuple(each for each in _sets(store, box) if not (bios and each.trouble))
    if not sets:
        return None
    newest, proven = sets[0], next((each for each in sets[1:] if each.proven), None)
    if stays := _held_at(store, box, sets):
        return stays
    if ran := _ran(store, box, sets):
        if count:
            _keep(store, box, Starts(ran.release))
        return ran
    heard = last_heard(store, box)
    starts = _starts(store, box, newest.release, heard, now)
    if proven and falls_back(starts.starts):
        if count and not starts.told:
            _fell_back(store, box, newest, proven)
            _keep(store, box, replace(starts, told=True))
        return proven
    more = with_one_more(starts.starts, heard, now)
    if count and more != starts.starts:
        _keep(store, box, replace(starts, starts=more, told=False))
    return newest


def by_itself(store: Store, box: str, now: int, *, count: bool = True) -> bool:
    """Whether the box starts from its own disk: the last believed report says that it runs from that, and not three
    starts passed since then without a word. Then it is installed once more, with what it ran, which keeps its data."""
    if not _installed(store, box):
        return False
    heard = last_heard(store, box)
    starts = _starts(store, box, DISK, heard, now)
    if falls_back(starts.starts):
        return False
    more = with_one_more(starts.starts, heard, now)
    if count and more != starts.starts:
        _keep(store, box, replace(starts, starts=more))
    return True


def _installed(store: Store, box: str) -> bool:
    """What the network starts goes onto a disk, and the box has been started from there since: in memory it has no
    entry. What it said before may have been another machine's."""
    kept, report, state = store.notes.get(BootSets, box), store.boxes.report(box), store.states.one(box)
    if not kept or not kept.since or report is None or state is None:
        return False
    return bool(report.entry) and state.received > kept.since


def _ran(store: Store, box: str, sets: Sequence[BootSet]) -> BootSet | None:
    """What a box is installed with again: what it said last that it is Healthy with. Three silent starts may be the
    tries of the newest release, which would be tried no more once it is installed. None: it was never installed."""
    if not _installed(store, box):
        return None
    state, healthy = store.states.one(box), last_heard(store, box).healthy
    running = state.running.release if state and healthy else ""
    return next((each for each in sets if each.release == running), next((each for each in sets if each.proven), None))


def held_back(store: Store, box: str, now: int) -> str:
    """Why the box does not come up with what it is offered, or is handed something else; "" when nothing says so. It
    stays with what it runs: it would start again and again."""
    sets, state = _sets(store, box), store.states.one(box)
    if not sets or state is None or _installed(store, box):
        return ""
    if state.published.release not in ("", sets[0].release):
        return f"what starts release {state.published.sequence} by the network is not made"
    if sets[0].trouble and any(not each.trouble for each in sets) and _of_bios(store, box):
        return f"no BIOS can start release {sets[0].sequence} by the network: {sets[0].trouble}"
    if not any(each.proven for each in sets[1:]):
        return ""
    starts = _starts(store, box, sets[0].release, last_heard(store, box), now)
    return _words(sets[0]) if falls_back(starts.starts) else ""


def _sets(store: Store, box: str) -> tuple[BootSet, ...]:
    return (store.notes.get(BootSets, box) or BootSets()).sets


def _of_bios(store: Store, box: str) -> bool:
    try:
        said = store.notes.get(BootChecked, box)
        return said is not None and not said.checked
    except StoreError:
        return True


def _held_at(store: Store, box: str, sets: Sequence[BootSet]) -> BootSet | None:
    """What a box that is held runs, if it came up with that; None: nothing keeps it from the newest."""
    state = store.states.one(box)
    if state is None or not (state.hold or _held_by_hand(store, box)):
        return None
    return next((each for each in sets if each.release == state.running.release and each.proven), None)


def _held_by_hand(store: Store, box: str) -> bool:
    """Whether an operator holds it, also since the last pass; who cannot tell holds."""
    try:
        return bool({box, holds.ALL} & holds.operators(store).keys())
    except StoreError:
        return True


def last_heard(store: Store, box: str) -> Heard:
    state, report = store.states.one(box), store.boxes.report(box)
    if state is None or report is None:
        return Heard()
    return Heard(state.received, report.boot_id, report.health is Health.HEALTHY)


def _starts(store: Store, box: str, what: str, heard: Heard, now: int) -> Starts:
    """`what`: a release, by the network; or DISK."""
    try:
        known = store.notes.get(Starts, box) or Starts()
    except StoreError as error:
        log.warning("netboot.damaged", box=box, error=error.message)
        known = Starts()
    if known.release != what:
        return Starts(what)
    return replace(known, starts=counted(known.starts, heard, now))


def _words(newest: BootSet) -> str:
    return f"release {newest.sequence} was started three times by the network, and no Healthy report came"


def _fell_back(store: Store, box: str, newest: BootSet, proven: BootSet) -> None:
    words = f"{_words(newest)}; release {proven.sequence} is handed out"
    try:
        store.events.add(box, EventType.WARNING, Happened.FELL_BACK, words)
    except StoreError as error:
        log.warning("netboot.untold", box=box, error=error.message)


def _keep(store: Store, box: str, starts: Starts) -> None:
    try:
        store.notes.put(starts, box)
    except Exception as caught:  # a full disk, a database that is away: the box starts all the same
        log.warning("netboot.uncounted", box=box, error=readable(caught).message)
