"""What a revision would do, for people: two revisions and what the store has of the boxes become a `Summary`.

In: base and head as (Revision, Tree), the store where there is one. Out: the summary that `toweros plan` prints and the
forge shows. Rules: nothing is written but in a scratch folder (`measure`); without a store everything that the base
needs counts as built, and sizes come from the locks.

    preview(Question(base, head), store)
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gitops.errors import FleetError, SourceError, TowerosError
from gitops.fleet import load_fleet, load_policy, rule_warnings
from gitops.fleet.system_files import ROOT_JSON
from gitops.model import Action, Existing, Fleet, Inventory, Json, Plan, Revision, Sign, Tree, building
from gitops.plan import PACKAGE, box_keys, plan, to_build
from gitops.review.boxes.effects import effects
from gitops.review.commands import Commands, told
from gitops.review.mounts import Mounts, words
from gitops.review.nouns import Ruling, SecurityChange, Side, Summary, Verdict
from gitops.review.security import compared, relocked
from gitops.review.sizes import DISK, Measured, Weight, bases, estimate
from gitops.review.summary import Ledger, summarize
from gitops.security.matching import keys
from gitops.source.clone.commits import LocalClone
from gitops.source.trust.signatures import Trust
from gitops.source.trust.signers import NamedCommit, Signers
from gitops.workflows.turns.dates import dates
from gitops.workflows.turns.previewing import Pinned, clone_of
from gitops.workflows.turns.previewing import told as told_pins
from gitops.workflows.turns.stopovers import MARK, Stopovers, Way

if TYPE_CHECKING:
    from gitops.store import Store  # takes long to load, and a clone needs none
    from gitops.workflows.security.advisories import Advisories

Point = tuple[Revision, Tree]
UNCHECKED = Verdict()
Images = Callable[[Fleet, Tree, Fleet | None], tuple[str, ...]]
"""Head, its files, base -> what is wrong with images."""


@dataclass(frozen=True)
class Question:
    """What is compared. `named`: the base was asked for, so the store's word on the boxes does not count.
    `keys`: the controller's keys folder, where it is this machine's; `dated`: it says when who would go."""

    base: Point | None
    head: Point
    verdict: Verdict = UNCHECKED
    named: bool = False
    platform: str = "linux/amd64"
    keys: Path | None = None
    dated: bool = True


def preview(
    question: Question,
    store: "Store | None",
    measured: Mapping[str, Measured] | None = None,
    advisories: "Advisories | None" = None,
    images: "Images | None" = None,
) -> Summary:
    """The summary of head against base; with `advisories`, also of what it fixes and brings in; with `images`, of
    images that cannot be had, and more.

    Raises:
        FleetError: the head has mistakes. (A base with mistakes counts as none.)
    """
    base, head = _base(question), _side(question.head, question.platform)
    existing = _existing(base, store, named=question.named)
    free, pinned = Pinned.of(head.fleet, question.head[1], existing, question.platform)
    planned = plan(free, head.revision, existing)
    planned = replace(planned, removed=tuple(step for step in planned.removed if step.subject not in head.fleet.boxes))
    ledger = _ledger(question, base, head, store)
    ledger = replace(ledger, measured=measured or {}, crowded=_crowded(question, head.fleet, planned, store))
    summary = told_pins(summarize(planned, base, head, existing, ledger), pinned)
    security = _security(base, head, advisories)
    warnings = (*_warnings(question), *_idle(question, head.fleet, planned, store))
    if images:
        warnings += images(head.fleet, question.head[1], base.fleet if base else None)
    summary = replace(summary, verdict=question.verdict, stateful=store is not None, warnings=warnings)
    touched = {box for group in summary.groups if group.action is Action.UPDATE for box in group.boxes}
    ends = {**planned.box_keys, **{box: key for each in pinned for box, _, key in each.keys}}
    stops = _stops(question, head.fleet, touched, (base, existing, ends), store)
    dated = question.dated and (summary.rollout or stops.boxes)
    when = dates(head.fleet, touched, int(time.time()), stops) if dated else ()
    return replace(
        summary,
        security=security,
        effects=effects(head.fleet, summary.groups, stops.boxes),
        rollout=(*summary.rollout, *when),
        steering=(*summary.steering, *stops.missing),
    )


def _stops(
    question: Question,
    fleet: Fleet,
    touched: set[str],
    known: tuple[Side | None, Existing, Mapping[str, str]],
    store: "Store | None",
) -> Stopovers:
    """At which floors boxes restart first. `known`: the base, what there is, and what the plan makes."""
    (base, existing, ends), head = known, question.head[0].commit
    clone = clone_of(question.head[1])
    if base is None or clone is None or not any(fleet.boxes[box].floor for box in touched & fleet.boxes.keys()):
        return Stopovers()
    if isinstance(clone, LocalClone) and not clone.has(head):  # files that nobody committed yet stand on the last one
        head = clone.revision("HEAD").commit
    runs = dict.fromkeys(base.fleet.boxes, base.revision.commit)
    if store is not None and not question.named:
        for state in store.states.all():
            version = state.running if state.received else state.published
            runs |= {state.name: said} if (said := version.revision.rpartition(MARK)[2]) else {}
    return Stopovers.of(fleet, touched, Way(clone, head, runs, existing.boxes, ends, question.platform))


def _security(base: Side | None, head: Side, advisories: "Advisories | None") -> SecurityChange:
    """Nothing where no feed is set: `toweros scan` says that."""
    if base is None or advisories is None or not advisories.feeds:
        return SecurityChange()
    old, new = base.fleet.packages, head.fleet.packages
    wanted = keys(Inventory.union(inventory for _, *both in relocked(old, new) for inventory in both))
    return compared(old, new, advisories.knowledge(wanted, int(time.time()))) if wanted else SecurityChange()


def _warnings(question: Question) -> tuple[str, ...]:
    """What is wrong with the fleet repo whatever this plan changes."""
    tree = question.head[1]
    rules = tuple(rule_warnings(tree))
    if not (question.keys and ROOT_JSON in tree.entries()):
        return rules
    from gitops.sign.roots.standing import behind  # with python-tuf, this takes long to load

    return (*filter(None, [behind(question.keys, tree.read(ROOT_JSON))]), *rules)


def changes(question: Question, store: "Store | None") -> Plan:
    """The bare plan of a question."""
    base, head = _base(question), _side(question.head, question.platform)
    return plan(head.fleet, head.revision, _existing(base, store, named=question.named))


def verdict(clone: LocalClone, head: Revision, base: Revision | None, first: Trust) -> Verdict:
    """What the base's policy would say of the head as a commit. `first`: whom the settings trust.

    Release tags come after the merge, so what they decide is left open.
    """
    try:
        policy = load_policy(clone.tree(base or head))
    except TowerosError as error:
        return Verdict(Ruling.UNCHECKED, message=error.message)
    if policy.sign is Sign.none and not first:
        return Verdict(Ruling.ACCEPTED, message="no signature is asked for")
    if policy.sign is Sign.tag:
        return Verdict(Ruling.UNCHECKED, message="a signed release tag decides")
    asked = replace(policy, threshold=1, sign=policy.sign if policy.sign is Sign.every_commit else Sign.head)
    trust = Trust.of_tree(clone.tree(base)).or_else(first) if base else first
    try:
        signers = Signers(clone, trust).of(asked, NamedCommit(head.ref, head.commit), base).names
    except SourceError as error:
        return Verdict(Ruling.REFUSED, error.reason or type(error).__name__, error.message)
    message = "and a signed release tag decides" if policy.sign is Sign.both else ""
    message = message or (f"and {policy.threshold} people have to sign it" if policy.threshold > 1 else "")
    return Verdict(Ruling.ACCEPTED, message=message, signers=signers)


def _side(point: Point, platform: str) -> Side:
    revision, tree = point
    return Side(revision, load_fleet(tree, platform), tree.entries())


def _base(question: Question) -> Side | None:
    """A base that nobody could deploy any more is no base: then everything is new, and the head is judged alone."""
    if question.base is None:
        return None
    try:
        return _side(question.base, question.platform)
    except FleetError:
        return None


def _existing(base: Side | None, store: "Store | None", *, named: bool) -> Existing:
    if store is not None and not named:
        return store.existing()
    if base is None:
        return Existing(store.builds.image_keys() if store else frozenset())
    keys = {path: base.fleet.packages[path].key for path in to_build(base.fleet, Existing())}
    built = frozenset(keys.values()) | (store.builds.image_keys() if store else frozenset())
    return Existing(built, box_keys(base.fleet), keys)


def _ledger(question: Question, base: Side | None, head: Side, store: "Store | None") -> Ledger:
    weights: dict[str, Weight] = {}
    if base and question.base:
        weights = estimate(base.entries, base.fleet.packages)
    weights |= estimate(head.entries, head.fleet.packages)
    stands_on = bases(question.head[1], head.fleet.packages)
    if store is None:
        return Ledger(DISK, bases=stands_on, weights=weights)
    for fleet in (base.fleet if base else None, head.fleet):
        weights |= _weighed(store, fleet) if fleet else {}
    from gitops.store.notes.box_keys import BoxDisk

    rooms = {name: disk.room for name, disk in store.notes.each(BoxDisk).items()}
    return Ledger(DISK, rooms, bases=stands_on, weights=weights)


def _crowded(question: Question, fleet: Fleet, planned: Plan, store: "Store | None") -> dict[str, str]:
    """The boxes with mounts of too many layers."""
    mounts = Mounts(question.head[1], fleet, _known_layers(store, fleet) if store else {})
    crowded = {step.subject: mounts.crowded(fleet.boxes[step.subject]) for step in planned.boxes}
    return {box: words(problems) for box, problems in crowded.items() if problems}


def _idle(question: Question, fleet: Fleet, planned: Plan, store: "Store | None") -> tuple[str, ...]:
    """The containers of boxes that change that nothing could start, as far as packages tell, and what is built."""

    def known(image: str) -> Json | None:
        package = fleet.packages.get(image.removeprefix(PACKAGE))
        built = store.builds.image(package.key) if store and package else None
        return built.config if built and built.config else None

    return told(Commands(question.head[1], fleet, known).lacking({step.subject for step in planned.boxes}))


def _known_layers(store: "Store", fleet: Fleet) -> dict[str, tuple[str, ...]]:
    """The layers of what is built."""
    images = {path: store.builds.image(package.key) for path, package in fleet.packages.items()}
    return {PACKAGE + path: image.layers for path, image in images.items() if image}


def _weighed(store: "Store", fleet: Fleet) -> dict[str, Weight]:
    """What the packages' own layers weigh in the store, where they are there."""
    weights = {}
    for path, package in fleet.packages.items():
        image = store.builds.image(package.key)
        layer = store.builds.layer(image.layers[-1], building(fleet.policy.recipe)) if image and image.layers else None
        if layer:
            packed = store.layers.zst(layer.root)
            weights[path] = Weight(packed.stat().st_size if packed.is_file() else layer.size, layer.size)
    return weights
