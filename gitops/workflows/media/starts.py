"""Starts by the network, as an update server knows and counts them (`handing`).

In: a store, a box. Out: what it is handed, why it is held. A store that cannot be written, or a damaged count, costs
the count, and no start.

    hand_out(OfStore(store), "kiosk-3", int(time.time()))
"""

from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from gitops.errors import StoreError, readable
from gitops.model import EventType, Happened, Health
from gitops.rollout import holds
from gitops.rollout.netboot import Heard, falls_back
from gitops.store import LeaseError, Store
from gitops.store.notes.box_keys import BootChecked
from gitops.store.notes.netboot import BootSets, Machines, Starts
from gitops.workflows.media.handing import known, way_back, words

log = structlog.get_logger(__name__)


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


@dataclass(frozen=True)
class OfStore:
    """`handing.Ground` of a store."""

    store: Store

    def machine(self, known_by: Iterable[str]) -> str:
        rows = (self.store.notes.get(Machines) or Machines()).rows
        return next((rows[each] for each in known_by if each in rows), "")

    def boot_sets(self, box: str) -> BootSets:
        return self.store.notes.get(BootSets, box) or BootSets()

    def heard(self, box: str) -> Heard:
        state, report = self.store.states.one(box), self.store.boxes.report(box)
        if state is None or report is None:
            return Heard()
        return Heard(state.received, report.boot_id, report.health is Health.HEALTHY, report.release, report.entry)

    def installed(self, box: str) -> bool:
        """In memory it has no entry. What it said before may have been another machine's."""
        since = self.boot_sets(box).since
        heard = self.heard(box) if since else Heard()
        return bool(heard.entry) and heard.received > since

    def running(self, box: str) -> str:
        state = self.store.states.one(box)
        return state.running.release if state else ""

    def held(self, box: str) -> bool:
        state = self.store.states.one(box)
        return state is not None and bool(state.hold or self._held_by_hand(box))

    def _held_by_hand(self, box: str) -> bool:
        """Whether an operator holds it, also since the last pass; who cannot tell holds."""
        try:
            return bool({box, holds.ALL} & holds.operators(self.store).keys())
        except StoreError:
            return True

    def starts(self, box: str) -> Starts:
        try:
            return self.store.notes.get(Starts, box) or Starts()
        except StoreError as error:
            log.warning("netboot.damaged", box=box, error=error.message)
            return Starts()

    def keep(self, box: str, starts: Starts) -> None:
        try:
            self.store.notes.put(starts, box)
        except Exception as caught:  # a full disk, a database that is away: the box starts all the same
            log.warning("netboot.uncounted", box=box, error=readable(caught).message)

    def fell_back(self, box: str, words: str) -> None:
        try:
            self.store.events.add(box, EventType.WARNING, Happened.FELL_BACK, words)
        except StoreError as error:
            log.warning("netboot.untold", box=box, error=error.message)


def held_back(store: Store, box: str, now: int) -> str:
    """Why the box does not come up with what it is offered, or is handed something else; "" when nothing says so. It
    stays with what it runs: it would start again and again."""
    ground = OfStore(store)
    sets, state = ground.boot_sets(box).sets, store.states.one(box)
    if not sets or state is None or ground.installed(box):
        return ""
    if state.published.release not in ("", sets[0].release):
        return f"what starts release {state.published.sequence} by the network is not made"
    if sets[0].trouble and any(not each.trouble for each in sets) and _of_bios(store, box):
        return f"no BIOS can start release {sets[0].sequence} by the network: {sets[0].trouble}"
    if not way_back(sets):
        return ""
    return words(sets[0]) if falls_back(known(ground, box, sets[0].release, now).starts) else ""


def documents(store: Store) -> dict[str, str]:
    """Box -> the digest of what a site's own server starts it with (`elsewhere`)."""
    boxes = {*(store.notes.get(Machines) or Machines()).rows.values()}
    return {box: digest for box in boxes if (digest := _document(store, box))}


def _document(store: Store, box: str) -> str:
    try:
        said = OfStore(store).boot_sets(box).said
        return said.sha256 if said else ""
    except LeaseError:
        raise
    except StoreError as error:  # the next pass makes it again
        log.warning("netboot.damaged", box=box, error=error.message)
        return ""


def _of_bios(store: Store, box: str) -> bool:
    try:
        said = store.notes.get(BootChecked, box)
        return said is not None and not said.checked
    except StoreError:
        return True
