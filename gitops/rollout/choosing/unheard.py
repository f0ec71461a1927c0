"""A box that is silent: where it was last, and whether the boxes beside it are silent, too.

In: the store, how the box is. Out: an `Unheard`, with words; None of a box that is heard, or never was. Rules: boxes of
its site that fell silent at about the same time (three looks at the server, a quarter of an hour at least) are one
trouble, and that is a line or the power of the site rather than each of them; what others do tells nothing where the
box is alone, or has no site. Who may see a box may see its site, so nothing is told beyond.

    unheard(store, status, now).words       # "3 of 4 boxes of site b are silent since 2026-11-30 03:12 UTC: ..."
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from gitops.model import Health, Json
from gitops.model.machines.silence import LATE
from gitops.rollout.places import places
from gitops.rollout.status import BoxStatus
from gitops.store import Store
from gitops.store.notes.directory import Place

TOGETHER = 900
"""Seconds between two boxes that one trouble silenced, at least."""
QUIET = (Health.LATE, Health.MISSING)


@dataclass(frozen=True)
class Unheard:
    """`addresses`: what it had when it was heard, at `heard`. Of its `site`: how many `boxes` there are with it, how
    many of them are `silent`, how many of these with it (`together`), and since when none of those was heard. Times
    are Unix seconds."""

    addresses: tuple[str, ...]
    heard: int
    site: str = ""
    boxes: int = 1
    silent: int = 1
    together: int = 1
    since: int = 0

    @property
    def words(self) -> str:
        """What that means; empty: there is nothing to compare it with."""
        others, heard = self.boxes - 1, self.boxes - self.silent
        if others <= 0:
            return ""
        if self.together > 1:
            which = "all" if self.together == self.boxes else f"{self.together} of"
            moment = datetime.fromtimestamp(self.since, UTC).strftime("%Y-%m-%d %H:%M UTC")
            cause = "a line or the power of the site, rather than this box"
            return f"{which} {self.boxes} boxes of site {self.site} are silent since {moment}: {cause}"
        if heard:
            are = "is" if heard == 1 else "are"
            return f"{heard} of the {others} other boxes of site {self.site} {are} heard: this box, or its own line"
        return f"the {others} other boxes of site {self.site} are silent, too, but for another time"

    def as_json(self) -> Json:
        return self.__dict__ | {"addresses": [*self.addresses], "says": self.words}


def unheard(store: Store, box: BoxStatus, now: int) -> Unheard | None:
    """None: it is heard, or never was."""
    if box.health not in QUIET or not box.seen:
        return None
    own = Unheard(box.addresses, box.seen)
    there = places(store)
    place = there.get(box.box, Place())
    if not place.site:
        return own
    states = [
        state
        for state in store.states.all()
        if not state.gone and (at := there.get(state.name)) and at.site == place.site
    ]
    silent = [state.received for state in states if state.received and state.health(now) in QUIET]
    near = max(TOGETHER, LATE * place.poll)
    together = [heard for heard in silent if abs(heard - box.seen) <= near]
    return Unheard(
        box.addresses, box.seen, place.site, len(states), len(silent), len(together), max(together, default=box.seen)
    )
