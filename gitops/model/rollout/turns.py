"""Permissions to restart, and what boxes say of their turn (ADR 92).

Lease(4, now + 1800)                # `apply` of the signed metadata, without windows and veto
seconds("2 hours")                  # 7200: for how long a box's own services may hold a restart off
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, StringConstraints

from gitops.model.digest import Json

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
STATES = ("fetching", "failed", "staged", "waiting", "held")
"""What a box says of what is to come."""
MOST_VETO = 7 * 86400
"""Seconds."""


def seconds(text: str) -> int:
    """How long a veto holds. Raises ValueError, which says what is expected."""
    if text == "none":
        return 0
    match = re.fullmatch(r"([0-9]{1,6}) (second|minute|hour|day)s?", text, re.ASCII)
    if not match or int(match[1]) * UNITS[match[2]] > MOST_VETO:
        raise ValueError("a duration such as `2 hours` (at most 7 days), or `none`, is expected")
    return int(match[1]) * UNITS[match[2]]


def _checked(text: str) -> str:
    seconds(text)
    return text


VetoLine = Annotated[str, StringConstraints(max_length=20), AfterValidator(_checked)]


@dataclass(frozen=True)
class Lease:
    """Leave to restart. `number`: greater than that of any before; it ends at `until` (Unix seconds), or when it is
    taken back (`stopped`: why)."""

    number: int
    until: int
    stopped: str = ""

    @classmethod
    def parse(cls, value: Json) -> Self:
        return cls(int(value["lease"]), int(value["until"]), str(value.get("stopped", "")))

    def encode(self) -> Json:
        return {"lease": self.number, "until": self.until} | ({"stopped": self.stopped} if self.stopped else {})


@dataclass(frozen=True)
class BoxTurn:
    """What a box that knows of permissions said last. `spent`: up to which number it uses none any more, whatever
    happens; `idle`: it said so at rest, not on its way down. `state`: `fetching`, `failed`, `staged`, `waiting`, `held`
    (its own services hold it off), with `why`, and `until` when at the latest (Unix seconds); `vetoed`: for how many
    seconds they did since its last restart. Its key is the box."""

    spent: int = 0
    idle: bool = False
    state: str = ""
    sequence: int = 0
    why: str = ""
    until: int = 0
    vetoed: int = 0

    @property
    def words(self) -> str:
        """Why, and until when at the latest."""
        until = f", until {datetime.fromtimestamp(self.until, UTC):%Y-%m-%d %H:%M} UTC" if self.until else ""
        return f"{self.why or 'nobody says why'}{until}"

    def __str__(self) -> str:
        why = f": {self.words}" if self.why or self.until else ""
        return f"{self.state} (release {self.sequence}){why}" if self.state else ""
