"""What each box is made of: the newest commit, or an earlier one, which a pin or a floor names.

In: the fleet at an accepted revision, its history, what the store has. Out: a plan in parts, one for each commit that
boxes are made of. Rules (which commit: `gitops.rollout.pins`):

- what a box is comes from the commit that is named; where and when it goes (site, labels, windows, holds), and who may
  log in to it, from the newest;
- its release has the newest one's number, so that it is never a step back for the box; at a floor, from which the box
  goes on to the newest, a lower one: that of the floor, or the next after what the box was offered;
- a box whose pin or floor cannot be had keeps what it has, and that is said; the others go on;
- a tag means what it meant when it was first named: one that was moved is refused;
- a box that a floor's commit did not have yet has nothing to be taken through.

    todo = Pins(settings, store, source).plan(fleet, revision, existing)
    todo.plan, todo.parts, todo.failed
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from gitops.errors import Reason, SourceError, StoreError, TowerosError, readable
from gitops.fleet import load_fleet
from gitops.fleet.keys.logins import logins, of_now
from gitops.model import Box, BoxState, Existing, Fleet, Package, Plan, Revision, Tree
from gitops.plan import box_key, plan
from gitops.rollout.pins import aim, has_passed, in_order
from gitops.settings import Settings
from gitops.source import GitSource
from gitops.source.points import History
from gitops.store import Store
from gitops.store.notes.waves import Aside

log = structlog.get_logger(__name__)

MARK = "@sha1:"
NUMBERED = "its release has no higher number than what it is offered"


@dataclass(frozen=True)
class Aim:
    """What boxes are made of, and the number of their releases."""

    commit: str
    sequence: int


@dataclass(frozen=True)
class Part:
    """Boxes that are made of one commit: `fleet` has these alone; `point` is that commit, numbered as the newest."""

    plan: Plan
    fleet: Fleet
    point: Revision
    tree: Tree


@dataclass(frozen=True)
class Todo:
    """`plan`: all of it, as people are told. `failed`: boxes whose pin or floor cannot be had, and why."""

    plan: Plan
    parts: tuple[Part, ...]
    failed: Mapping[str, TowerosError] = field(default_factory=dict)


class Pins:
    """Of one controller."""

    def __init__(self, settings: Settings, store: Store, source: GitSource) -> None:
        self._settings, self._store, self._source = settings, store, source
        self._fleets: dict[str, Fleet | TowerosError] = {}
        self._parts: dict[tuple[str, frozenset[str]], Fleet] = {}
        self._of_now: dict[str, Fleet] = {}
        self._logins = ""

    def plan(self, fleet: Fleet, revision: Revision, existing: Existing) -> Todo:
        """What the next pass makes, and of which commits."""
        if not any(box.pin or box.floor for box in fleet.boxes.values()):
            todo = plan(fleet, revision, existing)
            self._forget()
            return Todo(todo, (Part(todo, fleet, revision, self._source.tree(revision)),))
        if (said := logins(fleet)) != self._logins:
            self._logins = said
            self._of_now.clear()
            self._parts.clear()
        earlier = partial(self._earlier, newest=fleet)
        look = _Look(self._source.history(revision), self._store, earlier, existing)
        aims, failed = look.aims(fleet)
        groups: dict[Aim, set[str]] = {Aim(revision.commit, revision.sequence): set()}
        for box, each in aims.items():
            groups.setdefault(each, set()).add(box)
        parts = [self._part(each, boxes, fleet, revision, existing, look.late) for each, boxes in groups.items()]
        if look.aside != look.before:
            self._store.notes.put(look.aside)
        return Todo(_together(revision, parts, fleet, existing), tuple(parts), failed)

    def made(self, part: Part) -> None:
        """Remember which earlier commit the releases of a part are of."""
        if part.point.commit == part.plan.revision.commit:
            return
        states = [self._store.states.one(step.subject) for step in part.plan.boxes]
        made = {state.candidate.release: part.point.commit for state in states if state and state.candidate.release}
        if made:
            self._store.notes.change(Aside, lambda old: replace(old, made={**old.made, **made}))

    def keeps(self, fleet: Fleet, todo: Todo) -> Fleet:
        """The fleet, for who asks which packages are still needed: with those of earlier commits."""
        more: dict[str, Package] = {}
        for part in todo.parts:
            more |= {f"{part.point.commit}:{path}": package for path, package in part.fleet.packages.items()}
        return replace(fleet, packages={**fleet.packages, **more}) if len(todo.parts) > 1 else fleet

    def _part(
        self, to: Aim, boxes: set[str], fleet: Fleet, revision: Revision, existing: Existing, late: frozenset[str]
    ) -> Part:
        newest, history = to.commit == revision.commit, self._source.history(revision)
        here = self._alone(to.commit, fleet if newest else self._earlier(to.commit, fleet), frozenset(boxes))
        own = {box: key for box, key in existing.boxes.items() if box in boxes}
        asking = replace(revision, sequence=to.sequence)
        todo = plan(here, asking, replace(existing, boxes=own, outrun=existing.outrun | late))
        steps = (replace(step, reason=NUMBERED) if step.subject in late else step for step in todo.boxes)
        todo = replace(todo, boxes=tuple(steps))
        point = revision if newest else history.at(to.commit, to.sequence)
        return Part(todo, here, point, history.files(to.commit))

    def _alone(self, commit: str, fleet: Fleet, boxes: frozenset[str]) -> Fleet:
        """The same object as long as it is about the same: keys of boxes are worked out once for each."""
        if (found := self._parts.get((commit, boxes))) is None or found.packages is not fleet.packages:
            if len(self._parts) > 64:
                self._parts.clear()
            found = replace(fleet, boxes={name: box for name, box in fleet.boxes.items() if name in boxes})
            self._parts[commit, boxes] = found
        return found

    def _earlier(self, commit: str, newest: Fleet) -> Fleet:
        """The fleet of an earlier commit, with the logins of now. Raises as `_fleet`."""
        if commit not in self._of_now:
            if len(self._of_now) > 16:
                self._of_now.clear()
            self._of_now[commit] = of_now(self._fleet(commit), newest)
        return self._of_now[commit]

    def _fleet(self, commit: str) -> Fleet:
        """The fleet of an earlier commit, read once. Raises TowerosError: this controller cannot read it."""
        if commit not in self._fleets:
            if len(self._fleets) > 16:
                self._fleets.clear()
            try:
                tree = self._source.tree(Revision("", commit, 0, 0))
                self._fleets[commit] = load_fleet(tree, platform=self._settings.platform)
            except TowerosError as error:
                if isinstance(error, SourceError):
                    raise
                self._fleets[commit] = error
        found = self._fleets[commit]
        if isinstance(found, TowerosError):
            raise found
        return found

    def _forget(self) -> None:
        """Nobody is pinned, and there is no floor."""
        if (self._store.notes.get(Aside) or Aside()).says:
            self._store.notes.put(Aside())


class _Look:
    """One look at the boxes that are pinned, or have floors before them."""

    def __init__(self, history: History, store: Store, fleet: Callable[[str], Fleet], existing: Existing) -> None:
        self._history, self._store, self._fleet, self._existing = history, store, fleet, existing
        self.before = self.aside = _aside(store)
        self._names: dict[str, str | TowerosError] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self.late = frozenset[str]()
        """Whose release that waits must have a higher number: from a floor to the newest there was none between."""

    def aims(self, fleet: Fleet) -> tuple[dict[str, Aim], dict[str, TowerosError]]:
        """Box -> what it is to be made of; and the boxes of which that cannot be said."""
        states = {state.name: state for state in self._store.states.all()}
        found, failed, says = dict[str, Aim](), dict[str, TowerosError](), dict[str, str]()
        self.late = frozenset(
            name
            for name, state in states.items()
            if 0 < state.candidate.sequence <= state.published.sequence < self._history.revision.sequence
        )
        passed: dict[str, dict[str, str]] = {}
        head = Aim(self._history.revision.commit, self._history.revision.sequence)
        for name, box in fleet.boxes.items():
            if not (box.pin or box.floor):
                found[name] = head
                continue
            try:
                found[name], says[name], passed[name] = self._aim(box, states.get(name))
            except Exception as caught:
                failed[name] = readable(caught)
                says[name] = failed[name].message
        named = {each for box in fleet.boxes.values() for each in (box.pin, *box.floor)}
        tags = {name: commit for name, commit in self.aside.tags.items() if name in named}
        alive = {v.release for state in states.values() for v in (state.published, state.candidate, state.running)}
        self.aside = Aside(
            tags,
            {release: commit for release, commit in self.aside.made.items() if release in alive},
            {name: each for name, each in passed.items() if each},
            {name: each for name, each in says.items() if each},
        )
        return found, failed

    def _aim(self, box: Box, state: BoxState | None) -> tuple[Aim, str, dict[str, str]]:
        """The commit and number, in words why (empty: it is the newest), and the floors that the box has passed."""
        head, holds = self._history.revision.commit, self._history.holds
        pin = self._commit(box.pin) if box.pin else ""
        names = {self._commit(name): name for name in box.floor}
        before = self.aside.passed.get(box.name, {})
        passed = dict[str, str]()
        for floor in in_order(names, holds):
            if (content := self._passed(box, state, floor, before.get(floor, ""))) is not None:
                passed[floor] = content
        found = aim(pin, names, passed=passed, holds=holds, head=head)
        if found != head and box.name not in self._fleet(found).boxes:
            raise TowerosError(f"{box.pin} has no box {box.name}", hint="pin it to a commit that has it")
        last = self._history.revision.sequence
        if found in names and found != (pin or head):
            after = max(state.published.sequence, state.running.sequence) + 1 if state else 0
            number = min(max(self._history.sequence(found), after), last)
            return Aim(found, number), f"goes by the floor {names[found]}", passed
        return Aim(found, last), f"stays on {box.pin}" if pin else "", passed

    def _passed(self, box: Box, state: BoxState | None, floor: str, before: str) -> str | None:
        """The content on which a box was Healthy at a floor (empty: it runs something later); None: it has not passed.
        `before`: the content with which it had, when it was looked at last."""
        if state is None or not state.published.release or box.name not in self._fleet(floor).boxes:
            return before  # it never ran anything, or nothing that is as old
        version = state.running if state.received else state.published
        runs = self.aside.made.get(version.release) or version.revision.rpartition(MARK)[2]
        if not runs:  # nobody remembers that release: its number says how old it is
            return before if version.sequence > self._history.sequence(floor) else None
        if has_passed(floor, runs, settled=state.settled, holds=self._history.holds):
            return before if runs != floor else version.content
        alike = state.settled and not state.candidate.release and self._key(box.name, floor) == self._made(box.name)
        return version.content if alike or (before and before == version.content) else None

    def _key(self, box: str, commit: str) -> str:
        """What a box would be made from at a commit."""
        if (box, commit) not in self._keys:
            fleet = self._fleet(commit)
            self._keys[box, commit] = box_key(fleet, fleet.boxes[box])
        return self._keys[box, commit]

    def _made(self, box: str) -> str:
        return self._existing.boxes.get(box, "")

    def _commit(self, name: str) -> str:
        """Each name is asked about once in a look."""
        if name not in self._names:
            try:
                self._names[name] = self._as_named_first(name)
            except TowerosError as error:
                self._names[name] = error
        found = self._names[name]
        if isinstance(found, TowerosError):
            raise found
        return found

    def _as_named_first(self, name: str) -> str:
        commit = self._history.commit(name)
        if commit == name:
            return commit
        first = self.aside.tags.get(name, commit)
        if first != commit:
            hint = "name another tag, or the commit that you mean"
            words = f"the tag {name} was moved, from {first[:12]} to {commit[:12]}"
            raise SourceError(words, hint=hint, reason=Reason.moved_tag)
        self.aside = replace(self.aside, tags={**self.aside.tags, name: commit})
        return commit


def _together(revision: Revision, parts: list[Part], fleet: Fleet, existing: Existing) -> Plan:
    keys = {box: key for part in parts for box, key in part.plan.box_keys.items()}
    gone = plan(replace(fleet, packages={}, boxes={}), revision, existing).removed
    return Plan(
        revision,
        tuple(dict.fromkeys(step for part in parts for step in part.plan.builds)),
        tuple(sorted((step for part in parts for step in part.plan.boxes), key=lambda step: step.subject)),
        tuple(step for step in gone if step.subject not in fleet.boxes),
        keys,
    )


def _aside(store: Store) -> Aside:
    try:
        return store.notes.get(Aside) or Aside()
    except StoreError as error:
        log.warning("aside.damaged", why=error.message)
        return Aside()
