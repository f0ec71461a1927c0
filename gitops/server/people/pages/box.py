"""One box: /boxes/NAME."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from gitops.model import Health, Json, Severity
from gitops.rollout import holds
from gitops.rollout.choosing.unheard import unheard
from gitops.rollout.leases.told import told
from gitops.rollout.leases.told import words as permitted
from gitops.rollout.places import places
from gitops.rollout.status import BoxStatus, box_status
from gitops.server.boxes.reports import is_name
from gitops.server.people.acts.kinds import DONE
from gitops.server.people.documents import AbsentError, Asked
from gitops.server.people.pages.facts import facts
from gitops.server.people.pages.query import LIVE, Parameter, Query
from gitops.server.people.pages.scope import Scope
from gitops.server.people.pages.snapshot import NOWHERE, row_of
from gitops.server.people.pictures.strip import Span, strip
from gitops.store import Store
from gitops.store.history.events import Wanted
from gitops.store.notes.box_keys import BoxKeys

EVENTS, HISTORY = 50, 500
"""Events of a page, and those out of which its states over time are made."""
BOX = Query("/boxes", {"done": Parameter(words=tuple(DONE)), "before": Parameter(least=1, most=(1 << 31) - 1), **LIVE})


def box_page(store: Store, asked: Asked, now: int) -> dict[str, Any]:
    """For the template.

    Raises:
        AbsentError: there is no such box.
        QueryError: the parameters are wrong.
    """
    name = asked.subject
    view = Query(f"/boxes/{name}", BOX.parameters).read(asked.query)
    scope = Scope.of(store, asked.who)
    status = box_status(store, name, now) if is_name(name) and scope.has(name) else None
    if status is None:
        raise AbsentError(f"there is no box {name[:100]}")
    status = scope.status(status)
    place = places(store).get(name, NOWHERE)
    said = store.words.of([name]).get(name, {})
    found = store.events.of(Wanted((name,), before=view.number("before")), EVENTS + 1)
    return {
        "view": view, "box": status, "row": row_of(status, place, now), "said": said, "now": now,
        "strip": _strip(store, status, now), "offer": store.offers.published(name),
        "unheard": unheard(store, status, now), "facts": facts(said), "place": place,
        "permitted": scope.text(permitted(told(store, name), now)),
        "events": [scope.event(event) for _, event in found[:EVENTS]],
        "more": found[EVENTS - 1][0] if len(found) > EVENTS else 0,
        "advisories": _advisories(store, place.role), "failures": _failures(said), "keys": _keys(store, name),
        "severities": list(Severity), "done": DONE.get(view["done"]),
        "operator": scope.text(holds.operator(store, name)),
    }  # fmt: skip


def _strip(store: Store, box: BoxStatus, now: int) -> str:
    """Out of the events that a change of health made; the last one is how it is by now."""
    names = {str(health) for health in Health}
    events = [each for each in reversed(store.events.latest(box.box, HISTORY)) if each.reason in names]
    spans = [Span(event.time, event.reason) for event in events]
    if spans and spans[-1].state != box.health:
        spans.append(Span(max(box.seen, spans[-1].time), str(box.health)))
    spans = [*spans[:1], *(after for before, after in pairwise(spans) if before.state != after.state)]
    return strip(spans[-60:], now)


def _failures(said: Json) -> Sequence[Json]:
    rows = said.get("failures")
    newest = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return sorted(newest, key=lambda row: -int(row.get("time") or 0))[:10]


def _advisories(store: Store, role: str) -> dict[Severity, int]:
    """Open ones of its role."""
    counts = dict.fromkeys(Severity, 0)
    for each in store.sightings.current():
        if role and each.role == role:
            counts[each.severity] += 1
    return counts


def _keys(store: Store, name: str) -> BoxKeys:
    return store.notes.get(BoxKeys, name) or BoxKeys()
