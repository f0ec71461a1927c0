"""What happened since the last look becomes messages: pure, but for what `look` reads of the store.

In: events and states of the store, the rules, what is remembered. Out: what is remembered next. Rules: each event
counts once, each silence once until the box is heard; what comes within `gather` seconds of the first is one message,
in quiet hours all of it; a receiver has `MOST` messages that wait, the oldest go first.

    notices, found = look(store, notices, now)
    notices = gathered(notices, found, rules, now, labels(store, found))
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gitops.model import EventType, Happened, Health
from gitops.model.notifying.rules import Gathered, NotifyRule, Occurrence
from gitops.rollout.places import places
from gitops.store import Store
from gitops.store.history.events import Wanted
from gitops.store.notes.directory import Place
from gitops.store.notes.notices import Notice, Notices

SILENT = (Health.LATE, Health.MISSING)
OVERLAP = 200
"""Numbers of events before the newest that are looked at again: two servers write at once, and the lower number may
come later."""
MOST, MOST_EVENTS = 100, 500
NOWHERE = Place()
Labels = Mapping[str, Mapping[str, str]]


def look(store: Store, before: Notices, now: int) -> tuple[Notices, list[Occurrence]]:
    """What happened. At the first look ever nothing did: what is old was not asked for."""
    there, states = places(store), [state for state in store.states.all() if not state.gone]
    silent = {state.name: health for state in states if (health := state.health(now)) in SILENT}
    cursor = store.events.newest() if before.cursor < 0 else before.cursor
    rows = store.events.of(Wanted(after=max(cursor - OVERLAP, 0)), MOST_EVENTS, oldest=True)
    numbers = {number for number, _ in rows}
    if before.cursor < 0:
        return replace(before, cursor=cursor, seen=tuple(sorted(numbers)), silent=silent), []
    new = [event for number, event in rows if number not in before.seen and number > before.cursor - OVERLAP]
    new = [each for each in new if each.reason != Happened.NOTIFY]
    found = [
        Occurrence(each.box, *_where(there, each.box), each.reason, each.message, each.type is EventType.WARNING,
                   each.time)
        for each in new
    ]  # fmt: skip
    found += _silences(before.silent, silent, there, now)
    cursor = max(numbers, default=before.cursor)
    seen = tuple(sorted(number for number in numbers if number > cursor - OVERLAP))
    return replace(before, cursor=cursor, seen=seen, silent=silent), found


def labels(store: Store, found: Sequence[Occurrence]) -> Labels:
    """Of the boxes that something happened to."""
    there = places(store) if found else {}
    return {each.box: there.get(each.box, NOWHERE).labels for each in found}


def gathered(
    notices: Notices, found: Sequence[Occurrence], rules: Sequence[NotifyRule], now: int, labels: Labels
) -> Notices:
    """With what was found, and with messages of what is due. `labels`: by box."""
    gathering = dict(notices.gathering)
    outbox = list(notices.outbox)
    for rule in rules:
        if about := [each for each in found if rule.about(each, labels.get(each.box, {}))]:
            gathering[rule.name] = gathering.get(rule.name, Gathered(now)).add(about)
        ready = gathering.get(rule.name)
        # Since a time to come: the clock was ahead, and the rule would say nothing until then.
        if ready and not 0 <= now - ready.since < rule.gather and not rule.silent(now):
            del gathering[rule.name]
            outbox += [Notice(secrets.token_hex(16), to, rule.name, ready, now) for to in dict.fromkeys(rule.to)]
    names = {rule.name for rule in rules}
    left = {name: each for name, each in gathering.items() if name in names}
    return replace(notices, gathering=left, outbox=_bounded(outbox))


def _bounded(outbox: Sequence[Notice]) -> tuple[Notice, ...]:
    kept: list[Notice] = []
    for notice in reversed(outbox):
        if sum(each.receiver == notice.receiver for each in kept) < MOST:
            kept.append(notice)
    return tuple(reversed(kept))


def _silences(
    before: Mapping[str, str], after: Mapping[str, str], there: Mapping[str, Place], now: int
) -> list[Occurrence]:
    changed = [name for name in {*before, *after} if before.get(name) != after.get(name)]
    return [
        Occurrence(name, *_where(there, name), after.get(name, "Heard"), "", after.get(name) == Health.MISSING, now)
        for name in sorted(changed)
    ]


def _where(there: Mapping[str, Place], box: str) -> tuple[str, str]:
    place = there.get(box, NOWHERE)
    return place.role, place.site
