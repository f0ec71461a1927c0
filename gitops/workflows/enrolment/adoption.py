"""Which box a machine without a name is: Git says it, by its key, or by what it says of its hardware.

In: the fleet, the machines that ask. Out: key -> box, to be signed (`Publisher.name`); keys that count from now on; for
each that asks who it is, or why not. Rules:

- `hardware: {key: ...}` is a word of people about one machine: it counts at once where the box has no key that
  counts, else from the machine's first report under the name on.
- `serial` and `mac` are words that anybody says: the first who says them is the box, once. As soon as the box has a
  key, whoever says them with another one is refused, and that is an alarm.
- `ek` is a TPM's own key, which proves itself (`endorse`): nobody else can say it. It counts once as well.
- A key that is another box's, or that was revoked, gets no name.
- A name is given while the machine asks, and no longer: when it reports as that box, it asks no more.

    names = adopt(store, fleet, now)
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

import structlog

from gitops.errors import StoreError
from gitops.model import Box, EventType, Fleet, Happened
from gitops.model.machines.newcomer import code
from gitops.store import LeaseError, Store
from gitops.store.notes.box_keys import BoxKeys
from gitops.store.notes.newcomers import Newcomer, Newcomers
from gitops.workflows.enrolment import desk, newcomers

log = structlog.get_logger(__name__)


def adopt(store: Store, fleet: Fleet, now: int) -> dict[str, str]:
    """Key -> the box that the machine with it is."""
    try:
        living = newcomers.living(store, now)
    except LeaseError:
        raise
    except StoreError as error:  # whoever waits asks again
        log.warning("newcomers.damaged", why=error.message)
        store.notes.forget(Newcomers, [""])
        return {}
    arrived = {key for key, each in living.items() if each.box and _arrived(store, key, each)}
    asking = {key: each for key, each in living.items() if key not in arrived}
    answers = {key: _whole_answer(store, fleet, key, asking[key], now) for key in asking}
    _remember(store, asking, answers, arrived)
    return {key: box for key, (box, _) in answers.items() if box}


def _arrived(store: Store, key: str, newcomer: Newcomer) -> bool:
    """Whether it reported as the box since it asked last."""
    state = store.states.one(newcomer.box)
    return _is_key_of(store, newcomer.box, key) and state is not None and state.received > newcomer.last


def _whole_answer(store: Store, fleet: Fleet, key: str, newcomer: Newcomer, now: int) -> tuple[str, str]:
    """As `_answer`. What is damaged of one box costs no other its pass."""
    try:
        return _answer(store, fleet, key, newcomer, now)
    except LeaseError:
        raise
    except StoreError as error:
        return "", error.message


def _answer(store: Store, fleet: Fleet, key: str, newcomer: Newcomer, now: int) -> tuple[str, str]:
    """The box, "" for none; and why it is not one that it could be."""
    named = [box for box in fleet.boxes.values() if box.hardware and box.hardware.key == key]
    fitting = [box for box in fleet.boxes.values() if box.hardware and _fits(box, newcomer)]
    candidates = named or fitting
    if len(candidates) > 1:
        names = ", ".join(box.name for box in candidates)
        return "", f"it fits {names}: say more of their hardware"
    if not candidates:
        return "", ""
    box = candidates[0].name
    if why := _against(store, fleet, box, key, now if named else 0):
        return "", why
    state = store.states.one(box)
    return (box, "") if state and state.published.release else ("", f"{box} has no release yet")


def _fits(box: Box, newcomer: Newcomer) -> bool:
    return box.hardware is not None and box.hardware.fits(newcomer.serial, newcomer.macs, newcomer.ek)


def _against(store: Store, fleet: Fleet, box: str, key: str, by_hand: int) -> str:
    """Let the key in, if it is not yet; or why not. `by_hand`: Git names this very key now (Unix seconds); 0: no."""
    row, keys = store.boxes.row(box), store.notes.get(BoxKeys, box) or BoxKeys()
    if row and not row.revoked and row.public_key == key:
        return ""
    if row and not by_hand:
        return f"it says that it is {box}, which has another key: there are two, or it was made anew"
    if keys.coming == key and abs(by_hand - keys.since) < desk.LAPSES:
        return ""
    if other := next((name for name in fleet.boxes if name != box and _is_key_of(store, name, key)), ""):
        return f"its key is that of {other}: it cannot be {box} as well"
    try:
        desk.let_in(store, box, key)
    except StoreError as error:
        return error.message
    return ""


def _is_key_of(store: Store, name: str, key: str) -> bool:
    row = store.boxes.row(name)
    return row is not None and not row.revoked and row.public_key == key


def _remember(
    store: Store, asking: Mapping[str, Newcomer], answers: Mapping[str, tuple[str, str]], arrived: Collection[str]
) -> None:
    """What is new is told once, and kept beside who asks; who is there asks no more."""
    new = {key: answer for key, answer in answers.items() if answer != (asking[key].box, asking[key].refused)}
    if not new and not arrived:
        return

    def noted(known: Newcomers) -> Newcomers:
        rows = {key: each for key, each in known.rows.items() if key not in arrived}
        told = {key: replace(rows[key], box=box, refused=why) for key, (box, why) in new.items() if key in rows}
        return Newcomers({**rows, **told})

    store.notes.change(Newcomers, noted)
    for key, (box, why) in new.items():
        if box:
            store.events.add(box, EventType.NORMAL, Happened.ADOPTED, f"it is {_machine(key, asking[key])}")
        elif why:
            words = f"{_machine(key, asking[key])} gets no name: {why}"
            store.events.add("", EventType.WARNING, Happened.REFUSED, words)


def _machine(key: str, newcomer: Newcomer) -> str:
    said = ", ".join((*[f"serial {newcomer.serial}"] * bool(newcomer.serial), *newcomer.macs))
    return f"the machine {code(key)} at {newcomer.address}" + (f", which says {said}" if said else "")
