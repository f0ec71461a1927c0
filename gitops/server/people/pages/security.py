"""What is wrong with what runs: /advisories."""

from typing import Any

from gitops.model import Json, Severity, Sighting
from gitops.server.people.documents import Asked
from gitops.server.people.pages.lists import Part
from gitops.server.people.pages.query import LIVE, PAGING, Parameter, Query, View
from gitops.server.people.pictures.bars import Bar, bars
from gitops.store import Store
from gitops.store.notes.documents import Exposures, FeedState, as_json

ADVISORIES = Query(
    "/advisories",
    {
        "q": Parameter(), "role": Parameter(), "severity": Parameter(words=tuple(Severity)),
        "fix": Parameter(words=("yes", "no")), **PAGING, **LIVE,
    },
)  # fmt: skip
DAY = 86_400


def advisories(store: Store, asked: Asked) -> dict[str, Any]:
    """For the template.

    Raises:
        QueryError: the parameters are wrong.
    """
    view = ADVISORIES.read(asked.query)
    exposures = store.notes.get(Exposures) or Exposures()
    return {
        "view": view, "part": Part.of(chosen(store, view), view), "exposures": exposures, "severities": list(Severity),
        "feeds": store.notes.each(FeedState), "fixed": _fixed(exposures), "link": link,
    }  # fmt: skip


def security_json(store: Store, asked: Asked) -> Json:
    """By role, and the feeds; with parameters the vulnerabilities themselves, too."""
    exposures = store.notes.get(Exposures) or Exposures()
    feeds = {name: as_json(state) for name, state in store.notes.each(FeedState).items()}
    whole: Json = as_json(exposures) | {"feeds": feeds}
    if not asked.query:
        return whole
    view = ADVISORIES.read(asked.query)
    part = Part.of(chosen(store, view), view)
    return {**whole, "advisories": [dict(each.__dict__) for each in part.rows], **part.numbers}


def chosen(store: Store, view: View) -> list[Sighting]:
    """Those that are there now, the worst and oldest first."""
    low = view["q"].casefold()
    found = [
        each
        for each in store.sightings.current()
        if view["role"] in ("", each.role)
        and view["severity"] in ("", each.severity)
        and view["fix"] in ("", "yes" if each.fixable else "no")
        and (low in each.advisory.casefold() or low in each.source.casefold())
    ]
    return sorted(found, key=lambda each: (each.severity.rank, each.seen, each.advisory, each.role))


def link(advisory: str) -> str:
    """Where people read about it; empty: nobody knows."""
    if not all(letter.isascii() and (letter.isalnum() or letter in "-.:_") for letter in advisory):
        return ""
    place = "https://www.cve.org/CVERecord?id=" if advisory.startswith("CVE-") else "https://osv.dev/vulnerability/"
    return place + advisory


def _fixed(exposures: Exposures) -> str:
    """A picture: how long it took until nobody had it any more."""
    rows = [(name, *exposures.fixed[name]) for name in map(str, Severity) if name in exposures.fixed]
    days = [(name, number, seconds / number / DAY) for name, number, seconds in rows if number]
    return bars(
        "Time to fix, by severity", [Bar(name, took, f"{took:.1f} d ({number})") for name, number, took in days]
    )
