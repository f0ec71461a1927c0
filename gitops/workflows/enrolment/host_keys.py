"""SSH host keys of boxes, as their reports name them, get certificates of the fleet's authority.

In: the store, in which the server keeps what was reported; the fleet. Out: a certificate for each, which the server
hands to the box with the answer to its next report. Rules: only what a box that counts has signed is certified, under
the names of that box alone, and an address that two boxes have is no name; made again when its key, its names or the
authority are others, and long before it ends.

    certify(store, settings.keys, fleet, now)
"""

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

import structlog

from gitops.errors import SignError, StoreError, TokenError
from gitops.model import Fleet
from gitops.sign import ssh
from gitops.sign.ssh import HostAuthority
from gitops.store import Store
from gitops.store.notes.box_keys import HostCertificate

log = structlog.get_logger(__name__)


def names(fleet: Fleet) -> dict[str, tuple[str, ...]]:
    """Box -> what people type to reach it: its name, and its fixed address where no other box has that. (ssh takes no
    patterns in a certificate.)"""
    typed = {box: each.network.address.partition("/")[0] for box, each in fleet.boxes.items()}
    count = Counter(ip_address(address) for address in typed.values() if address)
    return {box: (box, *([at] if at and count[ip_address(at)] == 1 else [])) for box, at in typed.items()}


def hosts(fleet: Fleet) -> list[str]:
    """The names of all boxes: for these alone the authority is believed."""
    return [name for _, each in sorted(names(fleet).items()) for name in each]


def certify(store: Store, keys: Path, fleet: Fleet, now: int) -> None:
    """Make what is due; nothing where no box named a key."""
    asked = {box: note for box, note in _asked(store, fleet).items() if box in fleet.boxes}
    if not asked:
        return
    authority, known = HostAuthority.open(keys), names(fleet)
    for box, note in asked.items():
        by = _by(authority, known[box])
        if note.by == by and note.certified == note.key and now < note.until - ssh.MARGIN:
            continue
        try:
            certificate = authority.certify(note.key, known[box], now)
        except TokenError as error:  # it is away: the box keeps what it has, and the next pass asks again
            log.warning("ssh.uncertified", box=box, why=error.message, hint=error.hint)
            return
        except SignError:  # only its own sshd made it; a box that names another kind goes without
            certificate = ""
        made = HostCertificate(note.key, certificate, note.key, by, now + ssh.LIFETIME)
        store.notes.put(made, box)


def _asked(store: Store, fleet: Fleet) -> dict[str, HostCertificate]:
    """What boxes named; one record that is damaged is that box's trouble, which names its key again when it reports."""
    try:
        return store.notes.each(HostCertificate)
    except StoreError:
        read: dict[str, HostCertificate] = {}
        for box in fleet.boxes:
            try:
                note = store.notes.get(HostCertificate, box)
            except StoreError as error:
                log.warning("ssh.damaged", box=box, why=error.message)
                store.notes.forget(HostCertificate, [box])
            else:
                read |= {box: note} if note else {}
        return read


def _by(authority: HostAuthority, names: Sequence[str]) -> str:
    return sha256("\n".join((authority.public, *names)).encode()).hexdigest()
