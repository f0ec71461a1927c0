"""Machines without a name ask who they are. Anybody can, so what is kept of them is bounded.

In: a report under the name of a role's newcomers, signed with a key that nobody let in; where it came from. Out: the
list of those that wait. Rules:

- Nothing is kept of a key that does not prove itself. What it says of its hardware is its word.
- At most `MOST_AT` places have one address (of IPv6: its /64), and who came first stays; at most `MOST` in all, then
  who was heard the longest ago falls out, never who has a name, and never who was heard within `RESTS`: so strangers
  can neither fill the disk, nor write more than one row in `RESTS` / `MOST` seconds.
- Who is not heard for an hour waits no more. A request that is repeated is written at most every `AGAIN`.

    ask(store, "new.vm", envelope, "192.0.2.7", now)
    living(store, now)                  # key -> Newcomer
    find(store, "3b6a-27bc-9f86-d081-884c", now)
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, ip_address, ip_network

from gitops.errors import StoreError
from gitops.model import EventType, Happened, sha256
from gitops.model.machines.newcomer import GROUP, GROUPS, code, role_of
from gitops.sign.box import proves
from gitops.store import Store
from gitops.store.notes.newcomers import Newcomer, Newcomers

MOST = 128
MOST_AT = 16
AGAIN = 60
RESTS = 120
"""Seconds in which a machine that waits is heard again."""
TOLD = 64
"""So many machines are each told by an event: a flood of strangers is none."""
KEY_DIGITS = 64
LIST = "`toweros box adopt --list`"


@dataclass(frozen=True)
class Said:
    """A report of a machine without a name: under which, what it is signed with, what it says of its hardware."""

    name: str
    text: bytes
    signature: str
    key: str
    serial: str = ""
    macs: tuple[str, ...] = ()
    ek: str = ""
    """What its TPM has proven."""


def ask(store: Store, said: Said, address: str, now: int) -> None:
    """Keep that this machine asks, if its key is proven and there is room."""
    rows = (store.notes.get(Newcomers) or Newcomers()).rows
    if with_newcomer(rows, said, address, now) is None or not proves(said.key, said.text, said.signature):
        return
    news: list[bool] = []

    def noted(newcomers: Newcomers) -> Newcomers:
        after = with_newcomer(newcomers.rows, said, address, now)
        news.append(after is not None and said.key not in newcomers.rows and len(after) <= TOLD)
        return newcomers if after is None else Newcomers(after)

    store.notes.change(Newcomers, noted)
    if news[-1]:
        words = f"a machine with the medium of {role_of(said.name)} has no name yet; its code is {code(said.key)}"
        store.events.add("", EventType.NORMAL, Happened.ASKS, words)


def with_newcomer(rows: Mapping[str, Newcomer], said: Said, address: str, now: int) -> dict[str, Newcomer] | None:
    """What is to be kept after a machine asked; None: what is there. Pure."""
    alive = {key: each for key, each in rows.items() if each.waits(now)}
    role = role_of(said.name)
    if known := alive.get(said.key):
        ek = said.ek or known.ek
        if abs(now - known.last) < AGAIN and ek == known.ek:
            return None
        new = replace(known, role=role, last=now, address=address, serial=said.serial, macs=said.macs, ek=ek)
        return alive | {said.key: new}
    if sum(_place(each.address) == _place(address) for each in alive.values()) >= MOST_AT:
        return None
    if len(alive) >= MOST:
        waiting = [(each.last, key) for key, each in alive.items() if not each.box]
        if not waiting or now - min(waiting)[0] < RESTS:
            return None
        del alive[min(waiting)[1]]
    return alive | {said.key: Newcomer(role, now, now, address, said.serial, said.macs, said.ek)}


def living(store: Store, now: int) -> dict[str, Newcomer]:
    """Who asks now, by key; who came first is first."""
    return (store.notes.get(Newcomers) or Newcomers()).living(now)


def find(store: Store, wanted: str, now: int) -> tuple[str, Newcomer]:
    """The key that asks and has this code, or fingerprint.

    Raises:
        StoreError: none does, several do, or these are too few digits to tell machines apart.
    """
    digits = "".join(each for each in wanted.lower() if each.isalnum())
    if len(digits) < GROUP * GROUPS:
        message = f"a code has {GROUP * GROUPS} digits, {wanted!r} has {len(digits)}"
        raise StoreError(message, hint=f"compare all of it with the machine's console; {LIST}")
    found = [(key, each) for key, each in living(store, now).items() if _has(key, digits)]
    if len(found) != 1:
        message = f"{'several machines ask' if found else 'no machine asks'} with the code {wanted}"
        raise StoreError(message, hint=f"{LIST}; a machine that waits is heard again within {RESTS} seconds")
    return found[0]


def _has(key: str, digits: str) -> bool:
    """A fingerprint is the beginning of the key's digest; a code is the beginning of that."""
    return sha256(bytes.fromhex(key))[: KEY_DIGITS // 2].startswith(digits) or digits == key


def _place(address: str) -> str:
    try:
        known = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((known, 64), strict=False)) if isinstance(known, IPv6Address) else str(known)
