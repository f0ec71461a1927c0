"""The documents on machines that have no name yet, and on boots of boxes that take turns."""

from collections.abc import Mapping
from dataclasses import dataclass, field

FORGET = 3600
"""Seconds after which a machine that is not heard of any more waits for nothing."""


@dataclass(frozen=True)
class Newcomer:
    """A machine that runs the medium of `role` and asks who it is: since when, when it was last heard (Unix seconds),
    from which address. `serial` and `macs` are what it says of itself, `ek` is what its TPM has proven. `box`: who it
    is by now; `refused`: why it is not the box that it could be."""

    role: str
    first: int
    last: int
    address: str = ""
    serial: str = ""
    macs: tuple[str, ...] = ()
    ek: str = ""
    box: str = ""
    refused: str = ""

    def waits(self, now: int) -> bool:
        """Whether it still asks. A clock that was ahead when it came keeps none for longer."""
        return abs(now - self.last) < FORGET


@dataclass(frozen=True)
class Newcomers:
    """Key (Ed25519, hex) -> who asks with it."""

    rows: Mapping[str, Newcomer] = field(default_factory=dict)

    def living(self, now: int) -> dict[str, Newcomer]:
        """Who asks now, by key; who came first is first."""
        alive = [(key, each) for key, each in self.rows.items() if each.waits(now)]
        return dict(sorted(alive, key=lambda row: (row[1].first, row[0])))


@dataclass(frozen=True)
class Life:
    """A boot of a box, and the address that it reported from."""

    boot: str
    address: str


@dataclass(frozen=True)
class Lives:
    """The boots of a box that were heard, oldest first; which of them reported last, and which before it; how often an
    older one came back after a newer one, and when last (Unix seconds). Its key is the box."""

    boots: tuple[Life, ...] = ()
    last: str = ""
    other: str = ""
    returns: int = 0
    returned: int = 0


NEWCOMERS: Mapping[type[object], str] = {Newcomers: "newcomers", Lives: "lives/"}
"""Their names (`documents.NAMES`)."""
