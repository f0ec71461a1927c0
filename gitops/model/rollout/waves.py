"""Who goes after whom, and how many at once: what `rollout:` of fleet.yaml says.

Wave("lab", labels=(("ring", "lab"),), soak=86400)
Share.parse("5%").of(1000)      # 50
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gitops.model.digest import Digest
from gitops.model.rollout.reverts import OnStop


@dataclass(frozen=True)
class Share:
    """A number of boxes, or a part of them in percent."""

    number: int
    percent: bool = False

    @classmethod
    def parse(cls, text: str | int) -> "Share":
        """Raises ValueError, which says what is expected."""
        match = re.fullmatch(r"([0-9]{1,6})(%?)", str(text), re.ASCII)
        if not match or (match[2] and int(match[1]) > 100):
            raise ValueError("a number of boxes, or a part of them such as `5%`, is expected")
        return cls(int(match[1]), bool(match[2]))

    def of(self, total: int) -> int:
        """Rounded down."""
        return total * self.number // 100 if self.percent else self.number

    def __str__(self) -> str:
        return f"{self.number}{'%' * self.percent}"


NONE, ANY = Share(0), Share(100, percent=True)


@dataclass(frozen=True)
class Wave:
    """Boxes that go together: those that are named, and those of all the roles, sites and labels that are; of them, or
    of the whole fleet, `percent`. `soak`: seconds from the time when they are Healthy until the next wave begins. With
    more than so many that failed, fell silent or are Degraded, nobody goes on. `promote`: who says, and why, that
    nobody waits for it, as far as it is about what its boxes were to run when that was said."""

    name: str
    boxes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    percent: int = 100
    soak: int = 0
    failed: Share = NONE
    missing: Share = NONE
    degraded: Share = NONE
    promote: str = ""


@dataclass(frozen=True)
class WaveState:
    """How far a wave is. `counts`: how its boxes are (`gitops.rollout.careful.How`) -> how many; `done`: since when
    (Unix seconds) all who are heard run what they are wanted to, 0: not yet; `says`: what keeps those after it;
    `left`: how many of them were not let go at that look; `overtaken`: how many contents in a row were replaced while
    some were left."""

    name: str
    content: Digest
    counts: Mapping[str, int] = field(default_factory=dict)
    done: int = 0
    says: str = ""
    left: int = 0
    overtaken: int = 0


@dataclass(frozen=True)
class Steering:
    """What operators said of the rollout: `paused`, and who and why; `promoted`: of which contents (of a wave) nobody
    waits for the end of the soak, or the last box."""

    paused: str = ""
    promoted: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Careful:
    """`max_unavailable`: so many at once, of the `fleet`, of each `site`, or of what has one value of a label.
    `never_together`: no two of one site, or of one value of a label; who is silent counts, too. `on_stop`: what becomes
    of a rollout that stopped."""

    waves: tuple[Wave, ...] = ()
    max_unavailable: tuple[tuple[str, Share], ...] = ()
    never_together: tuple[str, ...] = ()
    on_stop: OnStop = OnStop.NOTHING
