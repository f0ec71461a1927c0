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


def hold(store: Store, box: str, who: str, why: str, now: int) -> None:
    """Hold a box, or `ALL`, from the next pass on."""
    store.notes.change(Suspended, lambda held: Suspended({**held.rows, box: Suspension(who, why, now)}))
    store.events.add("" if box == ALL else box, EventType.NORMAL, Happened.SUSPENDED, f"{who}: {why}")


def let_go(store: Store, box: str, who: str) -> bool:
    """Take a hold back. False: there was none (of this kind)."""
    if box not in _suspensions(store):
        return False
    store.notes.change(
        Suspended, lambda held: Suspended({name: each for name, each in held.rows.items() if name != box})
    )
    store.events.add("" if box == ALL else box, EventType.NORMAL, Happened.RESUMED, who)
    return True


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


def _text(held: Suspension) -> str:
    since = datetime.fromtimestamp(held.since, UTC)
    return f"{held.who}: {held.why} (since {since:%Y-%m-%d %H:%M} UTC)"
