"""SSH host keys of boxes, as their reports name them, get certificates of the fleet's authority.

In: the store, in which the server keeps what was reported; the fleet. Out: a certificate for each, which the server
hands to the box with the answer to its next report. Rules: only what a box that counts has signed is certified, under
the names of that box alone; made again when its key, its names or the authority are others, and long before it ends.

    certify(store, settings.keys, fleet, now)
"""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from gitops.errors import SignError
from gitops.model import Fleet
from gitops.sign import ssh
from gitops.sign.ssh import HostAuthority
from gitops.store import Store
from gitops.store.notes.box_keys import HostCertificate


def names_of(fleet: Fleet, box: str) -> tuple[str, ...]:
    """What people type to reach it: its name, its fixed address. (ssh takes no patterns in a certificate.)"""
    address = fleet.boxes[box].network.address.partition("/")[0]
    return (box, *([address] if address else []))


def hosts(fleet: Fleet) -> list[str]:
    """The names of all boxes: for these alone the authority is believed."""
    return [name for box in sorted(fleet.boxes) for name in names_of(fleet, box)]


def certify(store: Store, keys: Path, fleet: Fleet, now: int) -> None:
    """Make what is due; nothing where no box named a key."""
    asked = {box: note for box, note in store.notes.each(HostCertificate).items() if box in fleet.boxes}
    if not asked:
        return
    authority = HostAuthority.open(keys)
    for box, note in asked.items():
        names = names_of(fleet, box)
        by = _by(authority, names)
        if note.by == by and note.certified == note.key and now < note.until - ssh.MARGIN:
            continue
        try:
            certificate = authority.certify(note.key, names, now)
        except SignError:  # only its own sshd made it; a box that names another kind goes without
            certificate = ""
        made = HostCertificate(note.key, certificate, note.key, by, now + ssh.LIFETIME)
        store.notes.put(made, box)


def _by(authority: HostAuthority, names: Sequence[str]) -> str:
    return sha256("\n".join((authority.public, *names)).encode()).hexdigest()
