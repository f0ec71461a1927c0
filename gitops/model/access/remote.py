"""What a box lets people do through the server, and one session that somebody asked for.

In: `remote:` of fleet > role > box. Out: whether it allows what is asked. Rules: nothing unless Git says so; who may
have a shell may read logs; a shell needs more of a person than logs do (`NEEDS`).

    allows("shell", Kind.logs)      # True
"""

import enum
from typing import Literal

from gitops.model.access.person import Role
from gitops.model.keys import EVERYWHERE, Key

Allowed = Literal["none", "logs", "shell"]
"""`none` takes back what a role or the fleet says."""
ALLOWS = "etc/toweros/remote/allows"
"""What the agent reads; by what sshd lets people in is in files beside it."""
REMOTE = Key(
    "What people may do through the server: read `logs`, or have a `shell`; none: nothing.",
    EVERYWHERE,
    word="remote access",
    writes=ALLOWS,
)
"""The key of a box (ADR 17)."""
LOGS_COMMAND = "/usr/bin/toweros-logs"
"""What a certificate for logs may run (sshd(8), `force-command`), and nothing else."""
LIFETIME = 300
"""Seconds for which a certificate holds: the box comes, and is logged in to, within them."""
LATEST = 240
"""Seconds between two looks of a box that comes in time."""
LONGEST, IDLE = 3600, 600
"""Seconds of a session, and of one in which nothing is said."""
MOST_BYTES = 256 << 20
"""Of a session, in each direction."""
EACH, MOST = 3, 32
"""Sessions of a box at a time, and of all of them."""


class Kind(enum.StrEnum):
    """What a session is for."""

    logs = "logs"
    shell = "shell"


NEEDS = {Kind.logs: Role.operator, Kind.shell: Role.admin}


def allows(allowed: Allowed | None, kind: Kind) -> bool:
    """Whether a box whose release says so takes this kind of session."""
    return allowed == "shell" or (allowed == "logs" and kind == Kind.logs)


def session_of(serial: int) -> str:
    """The session's name: the serial of its certificate, which is signed and drawn by lot."""
    return f"{serial:016x}"
