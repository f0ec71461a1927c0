"""Who asks to come in to a box: what the answer to its report says of that, and what it reports of the last session.

Rules: a request is a certificate that proves itself (docs/access.md): who hands it on can only withhold it; what a box
says of a session is signed by the box, whatever the server that carried it says.
"""

import time
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gitops.errors import StoreError
from gitops.model import EventType, Happened, Report
from gitops.store import LeaseError, Store
from gitops.store.notes.remote import Asked, RemoteSessions

HEADER = "toweros-remote"
Text = Annotated[str, Field(max_length=600, pattern=r"^[^\x00]*$")]
Number = Annotated[int, Field(ge=0, lt=1 << 53)]


class RemoteIn(BaseModel):
    """The member `remote` (contracts/report)."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
    serial: Number
    kind: Annotated[str, Field(max_length=20, pattern="^[a-z]*$")]
    state: Literal["open", "ended", "refused"]
    by: Text = ""
    why: Text = ""
    seconds: Annotated[int, Field(ge=0, lt=1 << 53)] = 0


def sessions(store: Store, box: str) -> tuple[Asked, ...]:
    """Those of a box; none where what is kept of it is damaged: they are asked for anew."""
    try:
        note = store.notes.get(RemoteSessions, box)
    except LeaseError:
        raise
    except StoreError:
        store.notes.forget(RemoteSessions, [box])
        return ()
    return note.sessions if note else ()


def header(store: Store, box: str) -> dict[str, str]:
    """Whom this box is to come to."""
    now = time.time()
    wanted = [each.certificate for each in sessions(store, box) if not each.over and now < each.until]
    return {HEADER: " ".join(wanted)} if wanted else {}


def close(store: Store, box: str, serial: int) -> None:
    """Nobody comes to this session any more."""

    def closed(note: RemoteSessions) -> RemoteSessions:
        return RemoteSessions(tuple(replace(each, over=each.over or each.serial == serial) for each in note.sessions))

    store.notes.change(RemoteSessions, closed, box)


def changes(before: Report | None, after: Report) -> list[tuple[EventType, str, str]]:
    """Events: what the box says of a session, once of each state."""
    said, last = after.remote or {}, (before and before.remote) or {}
    if not said or (said["serial"], said["state"]) == (last.get("serial"), last.get("state")):
        return []
    refused, why = said["state"] == "refused", f": {said['why']}" if said.get("why") else ""
    lasted = f" after {said.get('seconds', 0)} s" if said["state"] == "ended" else ""
    words = f"the box says: {said['kind']} for {said.get('by', '?')} {said['state']}{lasted}{why}"
    return [(EventType.WARNING if refused else EventType.NORMAL, Happened.REMOTE, words)]
