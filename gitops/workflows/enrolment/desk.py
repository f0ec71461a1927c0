"""Keys of boxes are let in, replaced when the new one is seen, and taken away.

In: a store. Out: whether a report counts; who asks. Rules:

- A key that is let in while another one counts is `coming`: it counts from its first report on, and the one before
  ends then, not earlier. So an image that nobody boots silences no box; and after `LAPSES` nobody can boot it any more.
- A key that was revoked asks for nothing any more, and comes back only when an operator names it and says `replace`.
- A box that reported within `LIVE` keeps its key unless somebody says `replace`.
- Nothing that comes over the network lets a key in: a request needs an operator, who names its fingerprint.

    demand(store, "demo-1", replace=False, now=now)
    let_in(store, "demo-1", public)
    believed(store, "demo-1", text, signature)
"""

import json
import time
from dataclasses import asdict, dataclass, replace

from gitops.errors import StoreError
from gitops.model import EventType, Happened, Json
from gitops.sign.box import fingerprint, proves
from gitops.store import Store
from gitops.store.notes.box_keys import BoxKeys
from gitops.workflows.enrolment.requests import living, with_request

LIVE = 86400
"""Seconds since its last report during which a box counts as one that lives."""
LAPSES = 30 * 86400
"""Seconds for which a key may come: a disk that lies on a desk for longer ends no box's key."""
MOST_REVOKED = 16
MINUTE = 60


@dataclass(frozen=True)
class Request:
    """Who asks to be `box`, since when, and when it was last heard (Unix seconds)."""

    box: str
    key: str
    first: int
    last: int

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.key)

    def as_json(self) -> Json:
        return {**asdict(self), "fingerprint": self.fingerprint}


def believed(store: Store, box: str, text: bytes, signature: str) -> bool:
    """Whether a report is the box's own; the first one by the key that is coming makes that the box's key."""
    row = store.boxes.row(box)
    if row is None or row.revoked:
        return False
    if proves(row.public_key, text, signature):
        return True
    coming = _comes(_keys(store, box), int(time.time()))
    if not coming or not proves(coming, text, signature):
        return False
    if store.boxes.replace_key(box, row.public_key, coming):
        words = f"the new key {fingerprint(coming)} reported; {fingerprint(row.public_key)} counts no more"
        store.events.add(box, EventType.NORMAL, Happened.ENROLLED, words)
    return True


def ask(store: Store, box: str, text: bytes, signature: str, key: str, now: int) -> None:
    """Keep that whoever has `key` wants to be `box`, if that is proven and there is room."""
    keys = _keys(store, box)
    if key in keys.revoked or with_request(keys.asking, key, now) is None or store.states.one(box) is None:
        return
    if not proves(key, text, signature) or _named(text) != box:
        return
    news: list[bool] = []

    def noted(keys: BoxKeys) -> BoxKeys:
        asking = with_request(keys.asking, key, now)
        news.append(asking is not None and key not in {each.key for each in living(keys.asking, now)})
        return keys if asking is None else replace(keys, asking=asking)

    store.notes.change(BoxKeys, noted, box)
    if news[-1]:
        words = f"a stranger's key {fingerprint(key)} reports: if it is the box's, `toweros box enroll {box}`"
        store.events.add(box, EventType.WARNING, Happened.ASKS, words)


def requests(store: Store, now: int, box: str = "") -> list[Request]:
    """Who asks, by box and time; of one box with `box`."""
    known = {box: _keys(store, box)} if box else store.notes.each(BoxKeys)
    asking = [(name, keys, each) for name, keys in known.items() for each in living(keys.asking, now)]
    rows = [(name, each) for name, keys, each in asking if each.key not in keys.revoked]
    return sorted(
        (Request(name, each.key, each.first, each.last) for name, each in rows), key=lambda it: (it.box, it.first)
    )


def coming(store: Store, now: int) -> list[Request]:
    """The keys that count from their first report on, by box; `first` and `last` are when they were let in."""
    known = {name: keys for name, keys in sorted(store.notes.each(BoxKeys).items()) if _comes(keys, now)}
    return [Request(name, keys.coming, keys.since, keys.since) for name, keys in known.items()]


def accept(store: Store, box: str, wanted: str, now: int, *, replace: bool = False) -> str:
    """Let in the key that asks with this fingerprint, and return it. Raises as `asking`."""
    key = asking(store, box, wanted, now, replace=replace)
    let_in(store, box, key)
    return key


def asking(store: Store, box: str, wanted: str, now: int, *, replace: bool = False) -> str:
    """The key that asks with this fingerprint.

    Raises:
        StoreError: none does; or the box reported with its own key since that one asked: there are two.
    """
    asked = requests(store, now, box)
    found = next((each for each in asked if _bare(each.fingerprint) == _bare(wanted)), None)
    if found is None:
        raise StoreError(f"no key with this fingerprint asks to be {box}", hint="`toweros box enroll --list`")
    state = store.states.one(box)
    if state and state.enrolled and not state.revoked and state.received > found.first and not replace:
        ago = max(now - state.received, 0) // MINUTE
        message = f"{box} reported with its own key {ago} minutes ago, after this one asked: there are two of that name"
        raise StoreError(message, hint="find out which is which; then pass --replace")
    return found.key


def ends(store: Store, box: str) -> str:
    """What is lost where another key takes the place of a box's own, in a sentence; empty: nothing is."""
    row = store.boxes.row(box)
    if row is None or row.revoked:
        return ""
    return f"the machine that is {box} now is heard no more as soon as the new key reports: its own counts until then"


def demand(store: Store, box: str, *, replace: bool, now: int) -> None:
    """Nobody gets another key for a box that lives without saying so.

    Raises:
        StoreError: it lives.
    """
    state = store.states.one(box)
    if replace or state is None or not state.enrolled or state.revoked or not state.received:
        return
    if (silent := now - state.received) < LIVE:
        hint = "pass --replace: its own key counts until the new one reports for the first time, and not after that"
        raise StoreError(f"{box} is alive: it reported {max(silent, 0) // MINUTE} minutes ago", hint=hint)


def let_in(store: Store, box: str, key: str, *, replace: bool = False) -> bool:
    """Reports by `key` (hex) count: at once where no other one does, else from its first report on. True: at once.

    Raises:
        StoreError: it was revoked, and nobody said `replace`.
    """
    row = store.boxes.row(box)
    if key in _keys(store, box).revoked and not replace:
        hint = "`toweros box image` makes a disk with a new one; if this one is good after all, pass --replace"
        raise StoreError(f"the key {fingerprint(key)} of {box} was revoked", hint=hint)
    at_once = row is None or bool(row.revoked) or row.public_key == key
    if at_once:
        store.boxes.enroll(box, key)

    def noted(keys: BoxKeys) -> BoxKeys:
        asking = tuple(each for each in keys.asking if each.key != key)
        revoked = tuple(each for each in keys.revoked if each != key)
        return BoxKeys("", asking, 0, revoked) if at_once else BoxKeys(key, asking, int(time.time()), revoked)

    store.notes.change(BoxKeys, noted, box)
    return at_once


def keep(store: Store, box: str) -> str:
    """Forget the key that was to come; the one there is counts on. Returns the former, "": there was none."""
    before = _keys(store, box).coming
    store.notes.change(BoxKeys, lambda keys: replace(keys, coming="", since=0), box)
    return before


def revoke(store: Store, box: str) -> None:
    """No key of this box counts any more, nor the one that was to come. The former is not let in by a request again."""
    row = store.boxes.row(box)
    store.boxes.revoke(box)

    def noted(keys: BoxKeys) -> BoxKeys:
        ended = tuple(key for key in (row.public_key if row else "",) if key and key not in keys.revoked)
        return replace(keys, coming="", since=0, revoked=(*keys.revoked, *ended)[-MOST_REVOKED:])

    store.notes.change(BoxKeys, noted, box)


def _comes(keys: BoxKeys, now: int) -> str:
    """The key that is to come; "": there is none, or it came too late. A clock that was ahead lets none stay longer."""
    return keys.coming if abs(now - keys.since) < LAPSES else ""


def _keys(store: Store, box: str) -> BoxKeys:
    return store.notes.get(BoxKeys, box) or BoxKeys()


def _named(text: bytes) -> str:
    try:
        return str(json.loads(text)["box"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""


def _bare(text: str) -> str:
    return "".join(each for each in text.lower() if each.isalnum())
