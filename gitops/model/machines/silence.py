"""When a box that says nothing is Late, and when it is Missing. Pure.

In: how often it looks at its server, and how soon it said that it speaks again. Out: seconds. Rules: three looks that
were missed are Late, ten are Missing, whatever its poll; where its reports come more seldom than its looks (an older
agent, an older server, a site whose origin is away), one and a half of what it said are Late, two and a half Missing;
what downloads or restarts is given as long as boxes of before; Missing is never before Late.

    silence = Silence.of(poll=30, every=30, busy=False)
    silence.late, silence.missing       # 90, 300
"""

from dataclasses import dataclass

POLL = 30
"""Seconds between two looks, where nothing says otherwise. A shorter poll counts as this: a look takes its time."""
REPEAT = 600
"""Seconds between two reports of an agent that says nothing of it."""
MAX_POLL, MAX_STRETCH = 86_400, 8
"""Seconds that Git can ask for; how far an agent stretches them while its offer is refused."""
LATE, MISSING = 3, 10
"""Looks."""
BUSY = 1500
"""Seconds that a box is given that downloads, restarts or is tried."""


@dataclass(frozen=True)
class Silence:
    """Seconds since its last report, after which a box is so."""

    late: float
    missing: float

    @classmethod
    def of(cls, poll: int, every: int, busy: bool = False) -> "Silence":
        """`every`: in so many seconds it said that it speaks again; `busy`: it is not at rest."""
        look = max(poll, POLL)
        least = BUSY if busy else 0
        return cls(max(LATE * look, 1.5 * every, least), max(MISSING * look, 2.5 * every, least))


UNSAID = Silence.of(POLL, REPEAT)
"""Of an agent that says nothing of its poll."""
