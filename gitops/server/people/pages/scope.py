"""What somebody may see of the fleet: the boxes of some sites, or all.

In: the store, a viewer. Out: a `Scope`. Rules: a box is where the last pass saw it in Git; one that is nowhere is seen
by whoever sees the whole fleet. Texts that tell of boxes and sites beyond (why a box waits) are kept, and these names
in them are not.

    scope = Scope.of(store, viewer)
    scope.has("demo-1"), scope.text("waits for demo-2")      # True, "waits for (another box)"
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gitops.model import Event, Json
from gitops.rollout.places import places
from gitops.rollout.status import BoxStatus, FleetStatus
from gitops.server.people.guard.viewer import Viewer
from gitops.store import Store
from gitops.store.notes.directory import Place
from gitops.store.notes.documents import Status

WORD = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
NO_BOX = "-"
"""No box is called so."""
BOX, SITE = "(another box)", "(another site)"


@dataclass(frozen=True)
class Scope:
    """`whole`: all of it. `boxes`: those that are seen; `hidden`: the others; `sites`: those of nobody who is seen."""

    whole: bool = True
    boxes: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    sites: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, store: Store, who: Viewer) -> "Scope":
        return cls() if who.whole else cls.by(places(store), who)

    @classmethod
    def by(cls, there: Mapping[str, Place], who: Viewer) -> "Scope":
        """Of a fleet whose boxes are there."""
        seen = frozenset(name for name, place in there.items() if who.sees(place.site))
        sites = {place.site for place in there.values() if place.site and not who.sees(place.site)}
        # The longest first: one name may be the beginning of another.
        return cls(False, seen, frozenset(there) - seen, tuple(sorted(sites, key=lambda site: (-len(site), site))))

    def has(self, box: str) -> bool:
        return self.whole or box in self.boxes

    def text(self, said: str) -> str:
        """Without the names of what is not seen."""
        if self.whole or not said:
            return said
        said = WORD.sub(lambda found: BOX if found[0] in self.hidden else found[0], said)
        for site in self.sites:
            if site in said:
                said = re.sub(rf"(?<![\w-]){re.escape(site)}(?![\w-])", SITE, said)
        return said

    @property
    def asked(self) -> tuple[str, ...]:
        """For `Wanted`, in which no box means all of them."""
        return () if self.whole else tuple(sorted(self.boxes)) or (NO_BOX,)

    def event(self, event: Event) -> Event:
        return event if self.whole else replace(event, message=self.text(event.message))

    def status(self, box: BoxStatus) -> BoxStatus:
        """Of a box that is seen."""
        if self.whole:
            return box
        went, waits = self.text(box.fell_back), self.text(box.held)
        return replace(box, error=self.text(box.error), fell_back=went, held=waits)

    def fleet(self, fleet: FleetStatus) -> FleetStatus:
        """Its boxes; of the controller what it deployed and when it looked, and nothing that is of the whole fleet."""
        if self.whole:
            return fleet
        boxes = tuple(self.status(box) for box in fleet.boxes if box.box in self.boxes)
        known = Status(fleet.controller.revision, polled=fleet.controller.polled)
        return FleetStatus(boxes, known)

    def json(self, document: Json) -> Json:
        """A document of a box that is seen."""
        if self.whole:
            return document
        plain: Any = json.loads(json.dumps(document))
        found: Json = self._inside(plain)
        return found

    def _inside(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._inside(each) for each in value]
        return {key: self._inside(each) for key, each in value.items()} if isinstance(value, dict) else value
