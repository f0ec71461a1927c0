"""The documents on who is told of what: the rules as of the last pass, and what is on its way."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gitops.model.notifying.rules import Gathered, NotifyRule


@dataclass(frozen=True)
class NotifyRules:
    """Those of the last pass."""

    rules: tuple[NotifyRule, ...] = ()


@dataclass(frozen=True)
class Notice:
    """A message to one receiver. `begun`: it was being sent; `due`: not before (Unix seconds); `tried`: how often."""

    id: str
    receiver: str
    rule: str
    gathered: Gathered
    made: int
    due: int = 0
    tried: int = 0
    begun: bool = False


@dataclass(frozen=True)
class Notices:
    """`seen` are the numbers of events that were looked at, of the newest ones; all of at most `cursor` were. `silent`:
    box -> Late or Missing, as it was told. `gathering`: by rule. `outbox`: in their order."""

    cursor: int = -1
    seen: tuple[int, ...] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    gathering: Mapping[str, Gathered] = field(default_factory=dict)
    outbox: tuple[Notice, ...] = ()


NOTICES: Mapping[type[object], str] = {NotifyRules: "notify-rules", Notices: "notices"}
"""Their names (`documents.NAMES`)."""
