"""Boxes that Git asks to be wiped, and what becomes of their keys.

In: the fleet, the last reports. Out: whose machine ends (signed as `wipe`); who is wiped. Rules:

- Wiped is a box whose own last report, signed with the very key that Git names, says that it wipes itself. A box that
  says so unasked is not: it is Missing soon, as any that is silent.
- Its key is retired `SETTLES` seconds after its last word, so that a lost answer costs it no wait; a disk that was
  copied, or that came out of it in time, is nobody then.
- What that key signs afterwards is kept and shown, and the key counts no more for it: its disk could not be written, or
  somebody has a copy of it.
- Another key's report under the name, of the machine that comes after it, ends it.

    orders(fleet)                   # {"site-9": "3b6a27bc..."}
    follow(store, fleet, now)
"""

import structlog

from gitops.errors import StoreError
from gitops.model import EventType, Fleet, Happened
from gitops.model.report import Phase
from gitops.sign.box import proves
from gitops.store import LeaseError, Store
from gitops.store.notes.wiped import Wiped
from gitops.workflows.enrolment import desk

log = structlog.get_logger(__name__)
SETTLES = 120


def orders(fleet: Fleet) -> dict[str, str]:
    """Box -> the key of the machine that is to be wiped."""
    return {name: box.wipe.key for name, box in fleet.boxes.items() if box.wipe}


def follow(store: Store, fleet: Fleet, now: int) -> None:
    """Keep who is wiped, tell it once, and retire the key."""
    wanted, known = orders(fleet), _known(store)
    if not wanted and not known.rows:
        return
    done = {box: key for box, key in wanted.items() if _says_so(store, box, key)}
    rows = {box: key for box, key in known.rows.items() if _stays(store, fleet, box, key)} | done
    if rows != known.rows:
        store.notes.put(Wiped(rows))
    for box in done.keys() - known.rows.keys():
        words = "it said so with its own key, which counts no more; delete its file, or adopt another machine as it"
        store.events.add(box, EventType.NORMAL, Happened.WIPED, words)
    for box in rows:
        state, row = store.states.one(box), store.boxes.row(box)
        silent = state is not None and state.phase == Phase.WIPING and now - state.received > SETTLES
        if silent and row and not row.revoked:
            desk.revoke(store, box)


def lives_on(store: Store, box: str, text: bytes, signature: str) -> bool:
    """Whether the retired key of a box that was wiped signed this."""
    row = store.boxes.row(box)
    if row is None or not row.revoked or not proves(row.public_key, text, signature):
        return False
    return _known(store).rows.get(box) == row.public_key


def _known(store: Store) -> Wiped:
    """What is damaged is written again from the last reports."""
    try:
        return store.notes.get(Wiped) or Wiped()
    except LeaseError:
        raise
    except StoreError as error:
        log.warning("wiped.damaged", why=error.message)
        store.notes.forget(Wiped, [""])
        return Wiped()


def _says_so(store: Store, box: str, key: str) -> bool:
    """Its last report, which the key that is the box's now signed: an earlier key's came before that was let in."""
    state = store.states.one(box)
    said = state is not None and state.phase == Phase.WIPING and state.received >= state.enrolled
    return said and _is_last(store, box, key)


def _stays(store: Store, fleet: Fleet, box: str, key: str) -> bool:
    """Whether it is to be known on: its key is retired also where Git dropped the box at once."""
    row = store.boxes.row(box)
    return _is_last(store, box, key) and (box in fleet.boxes or not (row and row.revoked))


def _is_last(store: Store, box: str, key: str) -> bool:
    row = store.boxes.row(box)
    return row is not None and row.public_key == key
