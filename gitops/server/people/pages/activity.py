"""What happened: /activity."""

from typing import Any

from gitops.model import EventType, Happened, Health, Json
from gitops.server.people.documents import Asked
from gitops.server.people.pages.query import LIVE, MOST_PER, Parameter, Query
from gitops.server.people.pages.scope import NO_BOX, Scope
from gitops.store import Store
from gitops.store.history.events import Wanted

MOST_EVENTS = 1 << 31
KINDS = (*(str(kind) for kind in Happened), *(str(health) for health in Health))
"""What the form offers: a refusal has a name of its own."""
ACTIVITY = Query(
    "/activity",
    {
        "q": Parameter(), "box": Parameter(), "type": Parameter(words=tuple(EventType)), "kind": Parameter(),
        "before": Parameter(least=1, most=MOST_EVENTS - 1),
        "per": Parameter(least=1, most=MOST_PER, default="100"), **LIVE,
    },
)  # fmt: skip


def activity(store: Store, asked: Asked) -> dict[str, Any]:
    """For the template.

    Raises:
        QueryError: the parameters are wrong.
    """
    view = ACTIVITY.read(asked.query)
    per = view.number("per")
    scope, low = Scope.of(store, asked.who), view["q"].casefold()
    boxes = scope.asked if not view["box"] else (view["box"] if scope.has(view["box"]) else NO_BOX,)
    kinds = tuple(filter(None, [view["kind"]]))
    found = store.events.of(Wanted(boxes, view["type"], kinds, view["q"], before=view.number("before")), per + 1)
    more = found[per - 1][0] if len(found) > per else 0
    events = [scope.event(event) for _, event in found[:per]]
    if not scope.whole:  # nobody finds out by a search what is not shown
        events = [each for each in events if low in each.message.casefold() or low in each.box]
    return {"view": view, "events": events, "more": more, "kinds": KINDS}


def activity_json(store: Store, asked: Asked) -> Json:
    """`next`: the `before` of the next part; 0: there is none."""
    shown = activity(store, asked)
    return {"events": [dict(event.__dict__) for event in shown["events"]], "next": shown["more"]}
