"""Who may speak in a session: the box by its own key, the person by what was drawn for this session.

In: BOX.SERIAL, a side, the header `Authorization`. Out: what was asked. Rules: a session is one that somebody asked for
(workflows/remote); whoever proves nothing gets one and the same answer.

    Authorization: TowerOS HEX      the signature by the box's key over CONTEXT and BOX.SERIAL
    Authorization: Bearer TOKEN     the person's side
"""

import hmac
import re

from starlette.exceptions import HTTPException

from gitops.model import sha256
from gitops.model.access.remote import session_of
from gitops.server.boxes.sessions import sessions
from gitops.server.remote.relay import Side
from gitops.store import Store
from gitops.store.notes.remote import Asked
from gitops.workflows.enrolment import desk

NAME = re.compile(r"([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\.([0-9a-f]{16})")
BOX = re.compile(r"TowerOS ([0-9a-f]{128})")
PERSON = re.compile(r"Bearer ([A-Za-z0-9_-]{20,100})")
CONTEXT = b"toweros remote 1\n"


def admitted(store: Store, name: str, side: Side, said: str) -> tuple[str, Asked]:
    """The box and what was asked.

    Raises:
        HTTPException: 403, it is not proven; 404, there is no such name.
    """
    found = NAME.fullmatch(name)
    if not found:
        raise HTTPException(404)
    box, session = found[1], found[2]
    asked = next((each for each in sessions(store, box) if session_of(each.serial) == session), None)
    if asked is None or not _proven(store, name, side, said, asked):
        raise HTTPException(403, "nobody asked for this session, or not you")
    return box, asked


def _proven(store: Store, name: str, side: Side, said: str, asked: Asked) -> bool:
    if side == Side.person:
        token = PERSON.fullmatch(said)
        return token is not None and hmac.compare_digest(sha256(token[1].encode()), asked.proof)
    signature = BOX.fullmatch(said)
    box = name.partition(".")[0]
    return signature is not None and desk.believed(store, box, CONTEXT + name.encode(), signature[1])
