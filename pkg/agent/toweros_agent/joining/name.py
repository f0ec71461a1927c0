"""The name of this machine: the signed words' own, or the one that it was given since.

In: the name on the signed command line, the folder of the box's key. Out: the name that counts. A file `box.name`
beside the key has the one that signed metadata gave; it is written whole or not at all. Rules: a machine that was
started under a name of its own has that one, whatever the file says; one whose disk is memory has it on its key stick
as well, beside the key that the name was given to.
"""

import re
from dataclasses import replace
from pathlib import Path

from toweros_agent.host.boot import DISK, Boot
from toweros_agent.outgoing.identity import write

PREFIX = "new."
"""What begins so is no box's name: the machine runs the medium of a role."""
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
FILE = "box.name"
MAX_FILE = 100


def is_new(name: str) -> bool:
    """Whether a machine with this name has none of its own."""
    return name.startswith(PREFIX)


def named(boot: Boot, identity: Path, stick: Path) -> Boot:
    """This boot, under the name that counts. `stick`: where a key stick is mounted."""
    name = name_of(boot.box, identity)
    return replace(boot, box=name_of(name, stick) if boot.place != DISK else name)


def name_of(started: str, identity: Path) -> str:
    """The name that counts: `started` is the signed command line's."""
    if not is_new(started):
        return started
    try:
        with (identity / FILE).open("rb") as file:
            kept = file.read(MAX_FILE).decode("ascii").strip()
    except (OSError, ValueError):
        return started
    return kept if NAME.fullmatch(kept) else started


def keep(identity: Path, name: str) -> None:
    """From the next start on this machine has this name. Raises `OSError` when it cannot be written."""
    write(identity / FILE, name.encode() + b"\n")
