"""Who holds which box: what fleet.yaml and boxes/ say (`suspended:`), and what an operator said to the controller.

The second kind is for 3 a.m., when there is no time for a pull request; it stays in the store until it is taken back.
Rules: a held box is offered nothing new, and does not take what it was offered before: the hold travels to it with the
signed metadata, so it obeys at its next poll. Whoever holds says why. Git's word and the operator's both count.

    hold(store, "site-7", "ada", "hardware on the way")
    reasons(fleet, store)["site-7"]         # "ada: hardware on the way (since 2026-11-23 03:12 UTC)"
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from gitops.model import EventType, Fleet, Happened
from gitops.store import Store
from gitops.store.notes.documents import Suspended, Suspension

ALL = "*"


def hold(store: Store, box: str, who: str, why: str, now: int) -> bool:
    """Hold a box, or `ALL`, from the next pass on. False: they said so already."""
    known: list[Suspension | None] = []

    def held(old: Suspended) -> Suspended:
        known.append(old.rows.get(box))
        return old if _same(known[-1], who, why) else Suspended({**old.rows, box: Suspension(who, why, now)})

    store.notes.change(Suspended, held)
    if _same(known[-1], who, why):
        return False
    store.events.add("" if box == ALL else box, EventType.NORMAL, Happened.SUSPENDED, f"{who}: {why}")
    return True


def let_go(store: Store, box: str, who: str, why: str = "") -> bool:
    """Take a hold back. False: there was none (of this kind)."""
    if box not in _suspensions(store):
        return False
    there: list[bool] = []

    def free(held: Suspended) -> Suspended:
        there.append(box in held.rows)
        return Suspended({name: each for name, each in held.rows.items() if name != box})

    store.notes.change(Suspended, free)
    if there[-1]:
        words = f"{who}: {why}" if why else who
        store.events.add("" if box == ALL else box, EventType.NORMAL, Happened.RESUMED, words)
    return there[-1]


def operator(store: Store, box: str) -> str:
    """Who holds this box, or `ALL`, as an operator said; empty: nobody."""
    held = _suspensions(store).get(box)
    return _text(held) if held else ""


def operators(store: Store) -> dict[str, str]:
    """Box, or `ALL` -> who holds it, as operators said."""
    return {name: _text(each) for name, each in _suspensions(store).items()}


def reasons(fleet: Fleet, store: Store) -> dict[str, str]:
    """Box -> who holds it and why; no entry for a box that is free."""
    by_operators = operators(store)
    everyone = [reason for reason in (fleet.policy.suspended, by_operators.get(ALL, "")) if reason]
    holders = {}
    for name, box in fleet.boxes.items():
        # A box inherits what fleet.yaml says, so that can stand in both.
        own = [reason for reason in (box.suspended, by_operators.get(name, "")) if reason and reason not in everyone]
        if everyone or own:
            holders[name] = "; ".join([*(f"the whole fleet, by {reason}" for reason in everyone), *own])
    return holders


def _suspensions(store: Store) -> Mapping[str, Suspension]:
    return (store.notes.get(Suspended) or Suspended()).rows


def _same(held: Suspension | None, who: str, why: str) -> bool:
    return held is not None and (held.who, held.why) == (who, why)


def _text(held: Suspension) -> str:
    since = datetime.fromtimestamp(held.since, UTC)
    return f"{held.who}: {held.why} (since {since:%Y-%m-%d %H:%M} UTC)"
