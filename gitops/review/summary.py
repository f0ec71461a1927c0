"""A plan, and the two revisions that it lies between, become a `Summary`. Pure.

Rules: boxes that change alike (action, class of change, causes, fit) are one group, whatever their number; a package's
reason names the changed file; every list is in an order that depends on nothing but its content. The digest names what
was reviewed: it covers what each box would become and the policy, not sizes, signatures or commit ids, so that a merge
commit of the same tree has the digest of the branch that was reviewed.

    summarize(plan, base, head, existing, ledger)
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from gitops.model import Action, Box, Entry, Existing, Plan, Step, canonical, sha256
from gitops.model.room import Room
from gitops.plan import ASSEMBLER, CHANGED, LOST
from gitops.review.changes import Classifier
from gitops.review.nouns import Change, Group, Side, Summary
from gitops.review.rollout import order, rules, steering
from gitops.review.sizes import BOOT, Chains, Measured, Weight, own_size, uki_size
from gitops.review.versions import changed

CAUSES = 6
"""Causes of one group that are named."""
FORMAT = 1


@dataclass(frozen=True)
class Ledger:
    """What sizes are worked out from: measured releases where there are some, else the packages' weights."""

    room: Room
    """Of a box whose disk is not known."""
    rooms: Mapping[str, Room] = field(default_factory=dict)
    crowded: Mapping[str, str] = field(default_factory=dict)
    """Box -> which of its mounts has too many layers."""
    bases: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, Weight] = field(default_factory=dict)
    measured: Mapping[str, Measured] = field(default_factory=dict)


@dataclass(frozen=True)
class _Size:
    fetch: int
    short: str


def summarize(plan: Plan, base: Side | None, head: Side, existing: Existing, ledger: Ledger) -> Summary:
    """Everything about a plan, but for who may deploy it and whether there was a store."""
    touched = [step.subject for step in plan.boxes]
    made, reused = _layers(plan, base, head, ledger)
    built = [*(base.fleet.packages if base else ()), *head.fleet.packages]
    return Summary(
        base=str(base.revision) if base else "",
        head=str(head.revision),
        builds=_explained(plan.builds, base, head),
        groups=_groups(plan, base, head, ledger),
        unchanged=len(head.fleet.boxes) - len(touched),
        held=tuple(name for name in touched if head.fleet.policy.suspended or head.fleet.boxes[name].suspended),
        versions=changed(base.fleet.packages if base else {}, head.fleet.packages, {*built}) if base else (),
        policy=_policy(base, head),
        made=made,
        reused=reused,
        exact=bool(touched) and {*touched} <= {*ledger.measured},
        digest=digest(plan, head, existing),
        wipes=wipes(base, head),
        rollout=order(head.fleet, touched),
        steering=steering(base.fleet if base else None, head.fleet),
    )


def wipes(base: Side | None, head: Side) -> tuple[str, ...]:
    """Whose machine loses everything: each box, by name, however many there are."""
    before = {name: box.wipe for name, box in base.fleet.boxes.items()} if base else {}
    new = [box for name, box in sorted(head.fleet.boxes.items()) if box.wipe and box.wipe != before.get(name)]
    return tuple(f"{box.name}: {box.wipe.why}" for box in new if box.wipe)


def digest(plan: Plan, head: Side, existing: Existing) -> str:
    """The name of what was reviewed: SHA-256 over each changed box's old and new key, the removed, the wiped, the
    policy."""
    boxes = {step.subject: [existing.boxes.get(step.subject, ""), plan.box_keys[step.subject]] for step in plan.boxes}
    removed = [step.subject for step in plan.removed]
    policy = asdict(head.fleet.policy)
    document = {"format": FORMAT, "boxes": boxes, "removed": removed, "policy": policy}
    keys = {name: box.wipe.key for name, box in head.fleet.boxes.items() if box.wipe}
    return sha256(canonical(document | ({"wipes": keys} if keys else {})))


# --- packages --------------------------------------------------------------------------------------------------------


def _explained(builds: tuple[Step, ...], base: Side | None, head: Side) -> tuple[Step, ...]:
    """Reasons with the names of the files that changed, where there are two sides."""
    if base is None:
        return builds
    files = [path for path in (*base.entries, *head.entries) if _differs(base.entries, head.entries, path)]
    files = sorted({*files})
    old, new = base.fleet.packages, head.fleet.packages

    def reason(path: str) -> str:
        before = old[path].bases if path in old else ()
        return _named(path, files, [name for name in new[path].bases if name not in before])

    return tuple(replace(step, reason=reason(step.subject)) if step.reason == CHANGED else step for step in builds)


def _named(package: str, files: list[str], bases: list[str]) -> str:
    """`bases`: those from outside that are others now."""
    below = [path for path in files if path.startswith(f"{package}/")]
    if not below and bases:
        return f"its base image {', '.join(name.partition('@')[0] for name in bases)} moved"
    if not below:
        return "the recipe or the platform changed"
    more = f" and {len(below) - 2} more files" if len(below) > 2 else ""
    return f"{' and '.join(below[:2]) if len(below) <= 2 else ', '.join(below[:2])}{more} changed"


def _differs(old: Mapping[str, Entry], new: Mapping[str, Entry], path: str) -> bool:
    before, after = old.get(path), new.get(path)
    return before is None or after is None or (before.id, before.mode) != (after.id, after.mode)


def _policy(base: Side | None, head: Side) -> tuple[str, ...]:
    """`sign: none -> head`, for every rule of fleet.yaml's that changes."""
    if base is None:
        return ()
    old, new = asdict(base.fleet.policy), asdict(head.fleet.policy)
    changed = (name for name in new if old[name] != new[name] and name not in ("careful", "notify"))
    said = [f"{name}: {old[name] or 'nothing'} -> {new[name] or 'nothing'}" for name in changed]
    said += rules(base.fleet.policy.careful, head.fleet.policy.careful)
    told = {rule for rule in {*base.fleet.policy.notify} ^ {*head.fleet.policy.notify}}
    return (*said, *([f"notify: who is told by {', '.join(sorted({rule.name for rule in told}))}"] if told else []))


# --- boxes -----------------------------------------------------------------------------------------------------------


def _groups(plan: Plan, base: Side | None, head: Side, ledger: Ledger) -> tuple[Group, ...]:
    classifier = Classifier(base.fleet, head.fleet) if base else None
    sizer = _Sizer(base, head, ledger)
    alike: dict[tuple[Action, Change, str, str], tuple[list[str], list[int]]] = {}
    for step in plan.boxes:
        old = base.fleet.boxes.get(step.subject) if base else None
        change, reason = _change(step, old, head.fleet.boxes[step.subject], classifier)
        if (measured := ledger.measured.get(step.subject)) and measured.same:
            change, reason = Change.unchanged, f"{reason}, and its content is the same"
        size = sizer.of(step.subject, change)
        size = replace(size, short=ledger.crowded.get(step.subject) or size.short)
        names, fetches = alike.setdefault((step.action, change, reason, size.short), ([], []))
        names.append(step.subject)
        fetches.append(size.fetch)
    groups = [
        Group(tuple(names), action, change, reason, (min(fetches), max(fetches)), not short, short)
        for (action, change, reason, short), (names, fetches) in alike.items()
    ]
    if plan.removed:
        gone = tuple(step.subject for step in plan.removed)
        groups.append(Group(gone, Action.REMOVE, Change.removed, plan.removed[0].reason))
    return tuple(sorted(groups, key=lambda group: (-len(group.boxes), group.boxes)))


def _change(step: Step, old: Box | None, new: Box, classifier: Classifier | None) -> tuple[Change, str]:
    if step.action == Action.CREATE:
        return Change.new, step.reason
    if old is None or classifier is None:
        return Change.kernel, step.reason
    change, causes = classifier.classify(old, new)
    if change is Change.unchanged or step.reason == LOST:
        return change, step.reason
    more = f" and {len(causes) - CAUSES} more" if len(causes) > CAUSES else ""
    return change, f"{', '.join(causes[:CAUSES])}{more} changed"


class _Sizer:
    """Bytes of one box after the other; measured where possible."""

    def __init__(self, base: Side | None, head: Side, ledger: Ledger) -> None:
        self._base, self._head, self._ledger = base, head, ledger
        self._old = Chains(base.fleet, ledger.bases) if base else None
        self._new = Chains(head.fleet, ledger.bases)
        self._sums: dict[tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]], tuple[int, int]] = {}

    def of(self, name: str, change: Change) -> _Size:
        if measured := self._ledger.measured.get(name):
            return _Size(measured.fetch, self._room(name).shortage(measured.disk, measured.uki))
        new = self._head.fleet.boxes[name]
        old = self._base.fleet.boxes.get(name) if self._base else None
        wire, disk = self._sum(self._old.layers(old) if self._old and old else frozenset(), self._new.layers(new))
        uki = uki_size(new, self._ledger.weights)
        own = own_size(new)
        fetch = BOOT + wire + (0 if change is Change.unchanged else own)
        fetch += uki if change in (Change.kernel, Change.new) else 0
        return _Size(fetch, self._room(name).shortage(disk + 2 * own, uki))

    def _room(self, name: str) -> Room:
        return self._ledger.rooms.get(name, self._ledger.room)

    def _sum(self, old: frozenset[tuple[str, str]], new: frozenset[tuple[str, str]]) -> tuple[int, int]:
        if (old, new) not in self._sums:
            weights, none = self._ledger.weights, Weight(0, 0)
            wire = sum(weights.get(path, none).wire for path, _ in new - old)
            self._sums[old, new] = (wire, sum(weights.get(path, none).disk for path, _ in new | old))
        return self._sums[old, new]


def _layers(plan: Plan, base: Side | None, head: Side, ledger: Ledger) -> tuple[int, int]:
    """Layers made, and layers of the changed boxes that were there before."""
    if ledger.measured:
        made = [each for each in ledger.measured.values() if each.fetch]
        roots = {layer.root for each in made for layer in each.release.layers()}
        before = {layer.root for each in made if each.before for layer in each.before.layers()}
        return len(roots - before), len(roots & before)
    new, old = Chains(head.fleet, ledger.bases), Chains(base.fleet, ledger.bases) if base else None
    touched = {layer for step in plan.boxes for layer in new.layers(head.fleet.boxes[step.subject])}
    there = {layer for box in base.fleet.boxes.values() for layer in old.layers(box)} if base and old else set()
    return sum(step.subject not in ASSEMBLER for step in plan.builds), len(touched & there)
