"""What is wrong with what the boxes run, by role: for the page, the metrics, and the record of first sightings.

In: a fleet, the store, the feeds. Out: an `Exposures` document, and sightings. Rules: a box counts with the release
that it says it runs, and before it says anything with the one that it is offered; what nobody knows is said; only
what is certain is gone. It is done in a thread of its own: a pass never waits for a feed.

    watch = SecurityWatch(store, settings)
    watch.start(fleet)                  # returns at once
"""

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

import structlog

from gitops.errors import TowerosError, readable
from gitops.model import BoxState, Exposure, Fleet, Gap, Inventory, Sighting
from gitops.security.matching import Knowledge, expose, keys, scope_of
from gitops.security.sightings import changed, named
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.documents import BoxInventories, Exposures, RoleExposure, Unknown
from gitops.workflows.security.advisories import Advisories

log = structlog.get_logger(__name__)

SHARE = 50
"""So many times as long as a look took, nothing is looked at again: with ten thousand boxes it takes seconds."""


class SecurityWatch:
    """Looks at the feeds and the boxes, one time after the other."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._advisories = store, Advisories(store, settings.feeds)
        self._thread: threading.Thread | None = None
        self._resume, self._seen = 0.0, ""

    def start(self, fleet: Fleet) -> None:
        """Begin a look, unless one is under way or was just taken. Returns at once."""
        busy = self._thread is not None and self._thread.is_alive()
        if busy or time.monotonic() < self._resume:
            return
        self._thread = threading.Thread(target=self.look, args=(fleet,), name="security", daemon=True)
        self._thread.start()

    def look(self, fleet: Fleet) -> None:
        """One look, here and now; never raises."""
        begun = time.monotonic()
        try:
            now = int(time.time())
            self._advisories.refresh(now)
            begun = time.monotonic()  # the feeds' time is not ours: a slow one would put off the next look for hours
            made = look(self._store, fleet, self._advisories, now)
            log.debug("security.looked", roles=len(made.roles))
        except Exception as caught:
            log.warning("security.failed", error=readable(caught).message)
            self._doubt(readable(caught).message)
        self._resume = time.monotonic() + SHARE * (time.monotonic() - begun)

    def _doubt(self, why: str) -> None:
        """What was found last may not be true any more."""
        with contextlib.suppress(Exception):
            last = self._store.notes.get(Exposures) or Exposures()
            doubt = Unknown("the last look", why, last.made)
            roles = {name: replace(role, unknown=(doubt,)) for name, role in last.roles.items()}
            self._store.notes.put(replace(last, roles=roles))


def look(store: Store, fleet: Fleet, advisories: Advisories, now: int) -> Exposures:
    """What is wrong with the fleet now, kept in the store."""
    inside = _inside(store, fleet)
    inventories = _inventories(store, inside)
    wanted = frozenset(key for each in inventories.values() for key in keys(each))
    knowledge, today = advisories.knowledge(wanted, now), time.strftime("%Y-%m-%d", time.gmtime(now))
    found = {digest: expose(each, knowledge, fleet.statements, today) for digest, each in inventories.items()}
    exposures = {
        role: _together([found[digest] for digest in sorted(each.known)], each) for role, each in inside.items()
    }
    certain: dict[str, frozenset[str] | None] = {}
    for role, each in inside.items():
        if not each.unknown and not any(knowledge.gaps.values()):
            held = [inventories[digest] for digest in each.known]
            certain[role] = _certain(held, exposures[role], knowledge)
    current = store.sightings.current()
    certain |= {each.role: None for each in current if each.role not in inside}
    store.sightings.save(changed(current, exposures, certain, now))
    oldest = _oldest(store.sightings.current())
    roles = {role: _role(inside[role], exposure, oldest.get(role, {})) for role, exposure in exposures.items()}
    made = Exposures(now, roles, {severity.value: row for severity, row in store.sightings.fixed().items()})
    store.notes.put(made)
    return made


def _inventories(store: Store, inside: Mapping[str, "_Inside"]) -> dict[str, Inventory]:
    """What can be read; what cannot is not known."""
    found: dict[str, Inventory] = {}
    for role in inside.values():
        for digest in sorted(role.known - found.keys()):
            try:
                found[digest] = Inventory.parse(store.blobs.read(digest))
            except TowerosError as error:
                role.known.discard(digest)
                role.unknown.append(f"one: {error.message}")
    return found


def _certain(held: Iterable[Inventory], exposure: Exposure, knowledge: Knowledge) -> frozenset[str] | None:
    """The sources that are there and that somebody speaks of; None: there is nothing that is not known."""
    if not exposure.gaps:
        return None
    odd = {gap.about.partition(" ")[0] for gap in exposure.gaps}
    there = {each.source for one in held for each in one.components if scope_of(each, one) in knowledge.covered}
    return frozenset(there - odd)


class _Inside:
    """What the boxes of one role hold: digests of inventories, and boxes of which it is not known."""

    def __init__(self) -> None:
        self.boxes, self.known, self.unknown = 0, set[str](), list[str]()


def _inside(store: Store, fleet: Fleet) -> dict[str, _Inside]:
    roles: dict[str, _Inside] = defaultdict(_Inside)
    states = {state.name: state for state in store.states.all()}
    rows = store.notes.each(BoxInventories)
    for box in fleet.boxes.values():
        role = roles[box.role]
        role.boxes += 1
        content = _content(states.get(box.name))
        digest = dict((rows.get(box.name) or BoxInventories()).releases).get(content, "")
        if digest and store.blobs.has(digest):
            role.known.add(digest)
        elif content:
            role.unknown.append(box.name)
    return dict(roles)


def _content(state: BoxState | None) -> str:
    """What it runs, as far as it says anything; empty: it has nothing yet."""
    if state is None:
        return ""
    return state.running.content if state.received else state.wanted.content


def _together(exposures: list[Exposure], inside: _Inside) -> Exposure:
    findings = tuple(dict.fromkeys(finding for each in exposures for finding in each.findings))
    gaps = list(dict.fromkeys(gap for each in exposures for gap in each.gaps))
    if inside.unknown:
        number = len(inside.unknown)
        gaps.append(
            Gap(f"{number} box{'es' * (number > 1)}", f"nobody knows what is inside, such as {inside.unknown[0]}")
        )
    return Exposure(findings, tuple(gaps))


def _oldest(sightings: Iterable[Sighting]) -> dict[str, dict[tuple[str, str], int]]:
    rows: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
    for each in sightings:
        rows[each.role][each.advisory, each.source] = each.seen
    return rows


def _role(inside: _Inside, exposure: Exposure, seen: Mapping[tuple[str, str], int]) -> RoleExposure:
    rows = {name: each for name, each in named(exposure.findings).items() if each.standing.counted}
    numbers: dict[str, int] = defaultdict(int)
    for each in rows.values():
        numbers[each.advisory.severity.value] += 1
    unknown = tuple(Unknown(gap.about, gap.why, gap.since) for gap in exposure.gaps)
    oldest = min((seen[name] for name in rows if name in seen), default=0)
    return RoleExposure(inside.boxes, dict(numbers), sum(bool(each.fixed) for each in rows.values()), oldest, unknown)
