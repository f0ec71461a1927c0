"""At which floors boxes stop on their way to what a plan makes of them: each is one more restart, into that release.

In: the fleet at the head, a clone, what each box runs and was made from. Out: box -> the floors where it restarts
first, as fleet.yaml names them, the oldest first. Rules: those of the controller (`gitops.rollout.pins`); a floor that
changes nothing for a box, or is the plan's own commit, is no stop; names are read as the clone has them, and one that
it does not know is said.

    Stopovers.of(fleet, {"site-7"}, Way(clone, head, runs, made, ends)).boxes       # {"site-7": ("v1.0",)}
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from gitops.errors import TowerosError
from gitops.fleet import load_fleet
from gitops.fleet.keys.logins import of_now
from gitops.model import Box, Fleet
from gitops.plan import box_keys
from gitops.rollout.pins import has_passed, in_order
from gitops.source.clone.commits import Clone
from gitops.workflows.turns.previewing import commit_of

MARK = "@sha1:"
"""Between ref and commit of a revision as it is shown."""


@dataclass(frozen=True)
class Way:
    """From where to where. `head`: a commit; `runs`: box -> the commit of what it runs; `made`, `ends`: box -> the key
    of that, and of what the plan makes."""

    clone: Clone
    head: str
    runs: Mapping[str, str]
    made: Mapping[str, str]
    ends: Mapping[str, str]
    platform: str = "linux/amd64"

    def holds(self, commit: str, other: str) -> bool:
        """As `History.holds`."""
        return commit == other or (self.clone.has(commit) and self.clone.descends(commit, other))


@dataclass(frozen=True)
class Stopovers:
    """`order`: all floors where somebody stops, none before one that is in its history; `missing`: what cannot be
    told, in words."""

    order: tuple[str, ...] = ()
    boxes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @classmethod
    def of(cls, fleet: Fleet, touched: Collection[str], way: Way) -> "Stopovers":
        """Of the boxes that a plan makes anew."""
        going = [box for box in fleet.boxes.values() if box.floor and box.name in touched and way.runs.get(box.name)]
        names = {name for box in going for name in (*box.floor, box.pin) if name}
        return _Look(fleet, way, names).stops(going) if names else cls()


class _Look:
    def __init__(self, fleet: Fleet, way: Way, names: Collection[str]) -> None:
        self._fleet, self._way = fleet, way
        self._commits: dict[str, str] = {}
        self._missing: list[str] = []
        for name in sorted(names):
            try:
                self._commits[name] = commit_of(way.clone, name)
            except TowerosError as error:
                self._missing.append(f"floor {name}: {error.message}")
        self._order = in_order(self._commits.values(), way.holds)

    def stops(self, going: Collection[Box]) -> Stopovers:
        at = defaultdict[str, list[str]](list)
        for box in going:
            for commit in self._ahead(box):
                at[commit].append(box.name)
        found, last = defaultdict[str, list[str]](list), dict(self._way.made)
        for commit in filter(at.__contains__, self._order):
            for name, key in self._keys(commit, at[commit]).items():
                if key != last.get(name):
                    found[name].append(commit)
                    last[name] = key
        for name in [name for name in found if last[name] == self._way.ends.get(name)]:
            found[name].pop()
        names = {commit: name for name, commit in self._commits.items()}
        used = {commit for commits in found.values() for commit in commits}
        return Stopovers(
            tuple(names[commit] for commit in self._order if commit in used),
            {box: tuple(names[commit] for commit in commits) for box, commits in found.items() if commits},
            tuple(self._missing),
        )

    def _ahead(self, box: Box) -> list[str]:
        """The floors that it has not passed, on the way to its end."""
        way, runs = self._way, self._way.runs[box.name]
        if {*box.floor, *filter(None, [box.pin])} - self._commits.keys():
            return []
        end = self._commits[box.pin] if box.pin else way.head
        floors = {self._commits[name] for name in box.floor} - {end}
        passed = (floor for floor in floors if has_passed(floor, runs, settled=True, holds=way.holds))
        return [floor for floor in floors - {*passed} if way.holds(end, floor)]

    def _keys(self, commit: str, boxes: Collection[str]) -> Mapping[str, str]:
        """What these boxes would be made from at a commit; who was not there yet has nothing to be taken through."""
        try:
            fleet = of_now(load_fleet(self._way.clone.files(commit), self._way.platform), self._fleet)
        except TowerosError as error:
            self._missing.append(f"floor {commit[:12]}: {error.message.splitlines()[0]}")
            return {}
        return box_keys(replace(fleet, boxes={name: fleet.boxes[name] for name in boxes if name in fleet.boxes}))
