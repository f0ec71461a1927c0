"""Until when a box may restart, for people: out of what the last pass signed.

told(store, "site-7")           # {"number": 4, "until": 1795000000, "stopped": ""}
words(told(store, "site-7"), now)       # "until 2026-11-23 03:12 UTC"
"""

from datetime import UTC, datetime

from gitops.errors import StoreError
from gitops.model import Json
from gitops.model.rollout.turns import BoxTurn
from gitops.store import Store
from gitops.store.notes.turns import Permissions


def told(store: Store, box: str) -> Json:
    """The permission that a box has and did not use or give back; empty: none, or nobody can read it."""
    try:
        lease = (store.notes.get(Permissions) or Permissions()).rows.get(box)
        turn = store.notes.get(BoxTurn, box)
    except StoreError:  # the next pass writes it again
        return {}
    if lease is None or (turn and turn.spent >= lease.number):
        return {}
    return {"number": lease.number, "until": lease.until, "stopped": lease.stopped}


def words(permission: Json, now: int) -> str:
    """In a sentence; empty: there is none."""
    if not permission:
        return ""
    if permission["stopped"]:
        return f"taken back: {permission['stopped']}"
    until = f"{datetime.fromtimestamp(permission['until'], UTC):%Y-%m-%d %H:%M} UTC"
    return f"until {until}" if permission["until"] > now else f"ended {until}: the box was not heard since"
