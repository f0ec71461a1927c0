"""What somebody did, told once, to whatever keeps it: `app.state.record`.

In: a request with its person, what was done. Out: an `Act`. Rules: no password, token or cookie is in it, and what
strangers say is cut to what a line takes.

    tell(request, "login", subject="ada", outcome="refused")
"""

import time
from collections.abc import Callable

import structlog
from starlette.requests import Request

from gitops.model.access.act import Act
from gitops.model.access.person import Person

LINE = 200
Record = Callable[[Act], None]
log = structlog.get_logger(__name__)


def tell(
    request: Request, what: str, subject: str = "", reason: str = "", outcome: str = "done", who: Person | None = None
) -> None:
    """`who`: where the request has no person yet."""
    person: Person | None = who or getattr(request.state, "person", None)
    address = request.client.host if request.client else ""
    name, how = (person.name, person.how) if person else ("", "")
    words = (name, how, address, what, subject, reason, outcome)
    record: Record = getattr(request.app.state, "record", logged)
    record(Act(int(time.time()), *(line(word) for word in words)))


def logged(act: Act) -> None:
    """Where nothing else keeps it: a line of the log."""
    log.info(
        "act", who=act.who, how=act.how, address=act.address, what=act.what, subject=act.subject, reason=act.reason,
        outcome=act.outcome,
    )  # fmt: skip


def line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:LINE])
