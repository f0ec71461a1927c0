"""One row of all that is known of a box -> its `BoxState`; of one that is damaged, what is damaged.

state_of(columns).damaged       # "its report has the phase 'x'": empty when all can be read
"""

import json
from collections.abc import Sequence
from typing import Any

from gitops.model import BoxState, Failure, Health, Hold, HoldReason, Phase, Verdict, Version
from gitops.model.machines.silence import POLL, REPEAT

NONE = Version()
UNSAID = (POLL, REPEAT)
"""Of a box that does not say how often it looks, and is heard."""
NUMBERS = {1: "enrolled", 2: "revoked", 8: "sequence", 12: "sequence", 13: "received", 14: "since", 22: "sequence"}
"""Columns that are whole numbers, by place."""
PARTS = ((0, "enrolment"), (5, "published release"), (9, "candidate"), (13, "report"))
"""From which column on a row is about what."""
_sound: set[tuple[type, ...]] = set()
"""Kinds of rows that were looked at: there are few, and this is done for every box in every pass."""


def state_of(columns: tuple[Any, ...]) -> BoxState:
    """By place, not by name."""
    if why := _odd(columns):
        return BoxState(columns[0], damaged=why)
    name, enrolled, revoked, reason, detail, *rest = columns
    published, candidate = _version(rest[0:4]), _version(rest[4:8])
    state = (name, enrolled or 0, revoked or 0, published, candidate, hold_of(reason, detail))
    received, since, phase, health, error, failures, failed, release, content, sequence, revision, facts = rest[8:]
    if received is None:
        return BoxState(*state)
    # The revision of what runs is known while it is offered, and for some time after that.
    names = {published.release: published.revision, candidate.release: candidate.revision}
    running = Version(release, content, names.get(release) or revision or "", sequence)
    try:
        heard = (Phase(phase), Health(health), error, _failures(failures), frozenset(failed.split()))
    except (ValueError, TypeError, KeyError, AttributeError) as wrong:
        return BoxState(*state[:3], published, candidate, damaged=f"its report: {str(wrong)[:100]}")
    return BoxState(*state, received, since, running, *heard, *_rhythm(facts), facts or "")


def _rhythm(facts: Any) -> tuple[int, int]:
    """How often it looks, and is heard; where nobody knows, as boxes of before."""
    try:
        said = json.loads(facts or "{}")
        poll, every = said.get("poll", POLL), said.get("every", REPEAT)
        return (poll, every) if type(poll) is type(every) is int else UNSAID
    except (ValueError, AttributeError):
        return UNSAID


def hold_of(reason: Any, detail: Any) -> Hold | None:
    """What holds a box, as the last pass said; of a damaged record, that."""
    if not reason:
        return None
    try:
        return Hold(HoldReason(reason), str(detail))
    except ValueError:
        return Hold(HoldReason.CANNOT_BE_OFFERED, "the record of why it waits is damaged")


def _odd(columns: tuple[Any, ...]) -> str:
    """Which part of a row holds something else than it can; empty: none."""
    kinds = tuple(map(type, columns))
    if kinds in _sound:
        return ""
    for place, value in enumerate(columns):
        wanted = int if place in NUMBERS else str
        if value is not None and not isinstance(value, wanted):
            part = next(name for start, name in reversed(PARTS) if place >= start or start == 0)
            return f"its {part}: {NUMBERS.get(place, 'a text')} is {str(value)[:50]!r}"
    _sound.add(kinds)
    return ""


def _version(row: Sequence[Any]) -> Version:
    return Version(*row) if row[0] else NONE


def _failures(text: str) -> tuple[Failure, ...]:
    found = () if text == "[]" else json.loads(text)
    return tuple(Failure(**row | {"verdict": Verdict(row["verdict"])}) for row in found)
