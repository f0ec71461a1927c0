"""What the initrd says of this boot (contracts/boot): which release it started, from where, and whether on trial.

In: boot.json. Out: a `Boot`; anything odd raises `Refused`.

    Boot.parse(Path("/run/toweros/boot.json").read_bytes()).started
"""

import json
import signal
from dataclasses import dataclass
from pathlib import Path

from toweros_agent.nouns import Entry, Refused, digest, number, readable, text, texts

DISK, MEDIUM, RAM = "disk", "medium", "ram"
LINUXKIT = "linuxkit"


@dataclass(frozen=True)
class Boot:
    """What the initrd says of this boot."""

    box: str
    release: str
    sequence: int
    server: str
    trial: bool
    repaired: tuple[str, ...] = ()
    entry: str = ""
    place: str = DISK
    """Where the layers lie: on this box's disk, on a medium, or in its memory (`RAM`): then the network starts it."""
    init: str = ""

    knows: tuple[str, ...] = ()
    """What this box's initrd can do that older ones cannot: `wipe`."""

    @property
    def started(self) -> int:
        """The entry that the boot loader started, by its name. An addon beside it may speak of another release."""
        entry = Entry.parse(self.entry)
        return entry.sequence if entry else self.sequence

    @classmethod
    def parse(cls, data: bytes) -> "Boot":
        """Raises `Refused` when it is not what the initrd writes in a format that this agent reads."""
        try:
            document = json.loads(data)
            readable("boot.json", document)
            if not isinstance(document["trial"], bool):
                raise ValueError(f"trial {document['trial']!r}")
            return cls(
                box=text(document["box"]),
                release=digest(document["release"]),
                sequence=number(document["sequence"]),
                server=text(document["server"]),
                trial=document["trial"],
                repaired=tuple(map(digest, document.get("repaired", ()))),
                entry=text(document.get("entry", "")),
                place=text(document.get("place", DISK)),
                knows=texts(document.get("knows", [])),
                init=text(document.get("init", "")),
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise Refused(f"boot.json is not what an initrd writes: {type(error).__name__}: {error}") from error


def restarts_by(file: Path) -> signal.Signals:
    """What makes init start the machine again. LinuxKit's powers off at SIGTERM: its inittab says so of every shutdown,
    and `rc.shutdown reboot` of ctrl-alt-del alone."""
    try:
        return signal.SIGINT if Boot.parse(file.read_bytes()).init == LINUXKIT else signal.SIGTERM
    except (OSError, Refused):
        return signal.SIGTERM
