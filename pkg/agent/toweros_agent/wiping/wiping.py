"""The order to wipe this box: whom it means, that it is told, and how it comes to who obeys it.

In: the key that the signed metadata name (`wipe` of contracts/custom), this machine's key. Out: `state/wipe` for the
initrd, which destroys everything at the next start (pkg/initrd/wipe, ADR 70). Rules: an order is for one key, so it is
obeyed once, and never by a machine that has the name later; what was begun goes on after every cut, also without a
network; that it begins is told first, but an order waits `PATIENCE` for that and no longer; whatever keeps the box from
it is said, and the box goes on as it is.

    state/wiping    KEY TRIES               it has begun
    state/wipe      KEY, a line feed, PATH  the initrd's: PATH is the device of /state, below /sys
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from toweros_agent.host.boot import DISK, Boot
from toweros_agent.host.disk import Disk, write
from toweros_agent.outgoing.identity import Identity
from toweros_agent.settings import Places
from toweros_agent.tpm.asking import NoTpmError, TpmError

PATIENCE = 600.0
"""Seconds for which it is told to a server that does not say that it heard."""
AGAIN = 10.0
TRIES = 3
"""Starts after which an initrd that does not wipe is not asked again."""
WIPE = "wipe"
"""What boot.json calls an initrd that wipes."""
NO_DISK = "it is to be wiped, and keeps nothing on a disk of its own: take its medium or key stick away"
TOO_OLD = "it is to be wiped, and its initrd cannot yet: a newer release first"
STARTS_STILL = f"it is to be wiped, and starts still after {TRIES} tries: its disk cannot be written; destroy it"


class Wiping:
    """Of one boot. `problem`: why an order is not obeyed, "" when there is nothing to say."""

    def __init__(self, places: Places, disk: Disk, boot: Boot, identity: Identity, log: Callable[[str], None]) -> None:
        self.places, self.boot, self.identity, self._log = places, boot, identity, log
        self.note, self.order = disk.state / "wiping", disk.state / "wipe"
        self.problem, self._since = "", float("inf")

    def due(self, order: str) -> bool:
        """Whether this box is to be wiped now: it began, or `order` is its key. From then on it goes on by itself.

        Raises:
            OSError: that cannot be written; nothing is destroyed then.
        """
        self.problem = ""
        tries = self._tries()
        if tries is None and (not order or order != self.identity.public):
            return False
        self.problem = self._cannot(tries or 0)
        if tries is None and not self.problem:
            self._log("Git asks this box to be wiped")
            write(self.note, f"{order} 0\n".encode())
        return not self.problem

    def step(self, heard: bool) -> bool:
        """Whether the order lies there, so that the box has to start again. `heard`: the server said that it knows.

        Raises:
            OSError: nothing can be written; nothing is destroyed then.
        """
        now = time.monotonic()
        self._since = min(self._since, now)
        if not heard and now - self._since < PATIENCE:
            return False
        write(self.note, f"{self.identity.public} {(self._tries() or 0) + 1}\n".encode())
        self._clear_tpm()
        device = device_of(self.places.mounts, self.places.state, self.places.sys)
        write(self.order, f"{self.identity.public}\n{device}\n".encode())
        return True

    def _tries(self) -> int | None:
        """How often the order was left for the initrd; None: nothing was begun, or by another key's machine;
        or nobody can read it, which keeps no box from its updates: Git says it again."""
        try:
            key, _, tries = self.note.read_text("ascii").strip().partition(" ")
            return int(tries) if key == self.identity.public else None
        except (OSError, ValueError):
            return None

    def _cannot(self, tries: int) -> str:
        if self.boot.place != DISK:
            return NO_DISK
        if WIPE not in self.boot.knows:
            return TOO_OLD
        return STARTS_STILL if tries >= TRIES else ""

    def _clear_tpm(self) -> None:
        """With another seed the TPM opens no copy of the key that anybody has. One that refuses keeps no box."""
        try:
            self.identity.tpm.clear()
            self._log("the TPM is cleared")
        except NoTpmError:
            pass
        except TpmError as error:
            self._log(f"the TPM is not cleared: {error}")


def device_of(mounts: Path, folder: Path, sys: Path) -> str:
    """The device that is mounted at `folder`, as a path below /sys, which is the same after the next start; "": none.

    `mounts` is a mountinfo (proc(5)): the third word is MAJOR:MINOR, the fifth the place.
    """
    try:
        rows = [line.split() for line in mounts.read_text().splitlines()]
        number = next(row[2] for row in reversed(rows) if len(row) > 4 and row[4] == str(folder))
        return os.path.relpath((sys / "dev" / "block" / number).resolve(strict=True), sys.resolve())
    except (OSError, StopIteration, UnicodeDecodeError):
        return ""
