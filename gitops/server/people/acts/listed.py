"""Who changed what: /audit, for admins of the whole fleet.

Rules: newest first; a search looks at the `LOOKED` newest lines, and says where it stopped: `toweros audit list` looks
at all of them.
"""

from typing import Any

from gitops.model import Json
from gitops.server.people.documents import Asked
from gitops.server.people.pages.query import LIVE, MOST_PER, Parameter, Query, View
from gitops.store import Store
from gitops.store.audit.chain import Line
from gitops.store.audit.log import AuditLog

LOOKED = 50_000
AUDIT = Query(
    "/audit",
    {
        "q": Parameter(), "who": Parameter(), "what": Parameter(), "subject": Parameter(),
        "before": Parameter(least=1, most=(1 << 31) - 1),
        "per": Parameter(least=1, most=MOST_PER, default="100"), **LIVE,
    },
)  # fmt: skip


def audit(store: Store, asked: Asked) -> dict[str, Any]:
    """For the template.

    Raises:
        QueryError: the parameters are wrong. StoreError: a file cannot be read.
    """
    view = AUDIT.read(asked.query)
    per, before, rows, looked = view.number("per"), view.number("before"), list[tuple[Line, str]](), 0
    for looked, (line, outcome) in enumerate(AuditLog(store.paths.audit).newest(), 1):
        if (not before or line.number < before) and _wanted(view, line, outcome):
            rows.append((line, outcome))
        if len(rows) > per or looked >= LOOKED:
            break
    more = rows[per - 1][0].number if len(rows) > per else 0
    return {"view": view, "rows": rows[:per], "more": more, "short": looked >= LOOKED and not more, "looked": LOOKED}


def audit_json(store: Store, asked: Asked) -> Json:
    """`next`: the `before` of the next part; 0: there is none."""
    shown = audit(store, asked)
    acts = [{"number": line.number, **line.act.__dict__, "outcome": outcome} for line, outcome in shown["rows"]]
    return {"acts": acts, "next": shown["more"]}


def _wanted(view: View, line: Line, outcome: str) -> bool:
    act, low = line.act, view["q"].casefold()
    text = f"{act.who} {act.address} {act.what} {act.subject} {act.reason} {outcome}".casefold()
    return (
        low in text
        and view["who"] in ("", act.who)
        and act.what.startswith(view["what"])
        and view["subject"] in ("", act.subject)
    )
