"""Names of what is made for people, and what of it somebody asks for.

asked = Asked(Document.fleet, query="health=Missing&page=2", html=True)
asked.plain         # False: only some want this one
asked.who           # whom it is for: it shows no more than that person may see
"""

from enum import StrEnum
from typing import NamedTuple

from gitops.errors import TowerosError
from gitops.server.people.guard.viewer import NOBODY_IN_PARTICULAR, Viewer


class Document(StrEnum):
    """Each is a page and JSON; `metrics`: the Prometheus text format; `tick`: a word that changes when something
    happened."""

    fleet = "fleet"
    sites = "sites"
    box = "box"
    commits = "commits"
    commit = "commit"
    activity = "activity"
    advisories = "advisories"
    keys = "keys"
    audit = "audit"
    rollout = "rollout"
    metrics = "metrics"
    tick = "tick"


class Asked(NamedTuple):
    """`subject`: which box or commit; `query`: canonical parameters, empty: none; `html`: as a page; `packed`: by
    gzip; `who`: whom it is for."""

    document: Document
    subject: str = ""
    query: str = ""
    html: bool = False
    packed: bool = False
    who: Viewer = NOBODY_IN_PARTICULAR

    @property
    def plain(self) -> bool:
        """Whether it is the same for everybody: there are few of these."""
        return not self.subject and not self.query and self.who.whole


class AbsentError(TowerosError):
    """There is nothing of that name."""


class QueryError(TowerosError):
    """Parameters that are none, or have no such value."""
