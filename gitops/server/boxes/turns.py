"""What a box says of its turn, in its report: checked, kept, and told where it is news.

Rules: what an older agent does not say is forgotten, as it knows nothing of permissions; a damaged record is written
again with the next report.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gitops.errors import StoreError
from gitops.model import EventType, Happened, Phase, Report
from gitops.model.rollout.turns import BoxTurn
from gitops.store import LeaseError, Store

AT_REST = (Phase.IDLE, Phase.FETCHING)
Number = Annotated[int, Field(ge=0, lt=1 << 53)]


class TurnIn(BaseModel):
    """The member `turn` (contracts/report)."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
    knows: Number = 0
    spent: Number = 0
    state: Annotated[str, Field(max_length=100, pattern=r"^[a-z]*$")] = ""
    sequence: Number = 0
    why: Annotated[str, Field(max_length=4_000, pattern=r"^[^\x00]*$")] = ""
    until: Annotated[int, Field(ge=0, le=253_402_300_799)] = 0
    """At most the year 9999: people read it as a date."""
    vetoed: Number = 0


def note(store: Store, report: Report) -> None:
    """What the box said, and whether it said that at rest."""
    said = {name: each for name, each in (report.turn or {}).items() if name != "knows"}
    turn = BoxTurn(**said, idle=report.phase in AT_REST) if report.turn else None
    try:
        if store.notes.get(BoxTurn, report.box) == turn:
            return
    except LeaseError:
        raise
    except StoreError:
        store.notes.forget(BoxTurn, [report.box])
    if turn:
        store.notes.put(turn, report.box)
    else:
        store.notes.forget(BoxTurn, [report.box])


def changes(before: Report | None, after: Report) -> list[tuple[EventType, str, str]]:
    """Events: it is held off, or cannot fetch what is to come."""
    turn, last = after.turn or {}, (before and before.turn) or {}
    if turn.get("state") not in ("held", "failed") or turn.get("why") == last.get("why"):
        return []
    return [(EventType.WARNING, Happened.REFUSED, f"release {turn.get('sequence')}: {turn.get('why', '')}")]
