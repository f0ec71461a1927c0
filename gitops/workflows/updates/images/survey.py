"""Tags of images that moved, as sets that can go out beside those of packages.

In: a tree, what registries say, the fleet's rules, facts. Out: parcels that change images.lock alone. Rules: what is
offered is there, is for our machines and signed as the fleet repo asks; what is refused is said, and offered no more;
what nobody can say now stays offered as it was. Nothing is written.

    watch = Watch(settings, tree, boxes_pull(fleet))
    watch.stamp                                 # while it stays, no tag has moved
    survey = Joined(Survey(...), watch.survey(patching, facts))
    for parcel in survey.parcels(): parcel.files
    survey.problems, survey.stays
"""

from collections.abc import Collection
from functools import cached_property

from gitops.errors import RegistryError
from gitops.fleet.images.lockfile import FILE, dump, pins
from gitops.fleet.images.tracked import tracked
from gitops.model import Fleet, Tree
from gitops.model.updates.patching import Grouping, Move, Patching
from gitops.oci.trust import Trust
from gitops.security.schedule.choice import Chosen, Facts, Update, groups, set_key
from gitops.security.schedule.tags import choose_tags, message, parcel_name, short
from gitops.settings import Settings
from gitops.workflows.images.ask import Answer, Registries
from gitops.workflows.updates.survey import Parcel, Survey

ALL = "images"
"""The name of the parcel of all tags together."""


def boxes_pull(fleet: Fleet) -> frozenset[str]:
    """Images that boxes pull by themselves."""
    apps = (app for box in fleet.boxes.values() for app in box.apps if app.pull == "registry")
    return frozenset(image for app in apps for image in app.images.values())


class Watch:
    """The tags of one tree, asked for once. `off`: none is."""

    def __init__(self, settings: Settings, tree: Tree, pulled: Collection[str] = (), *, off: bool = False) -> None:
        self._settings, self.tree, self._pulled, self._off = settings, tree, pulled, off

    @cached_property
    def wanted(self) -> bool:
        """Whether any image has a tag."""
        return not self._off and bool(tracked(self.tree))

    @cached_property
    def registries(self) -> Registries:
        return Registries(self._settings, Trust.of(self.tree), self._pulled)

    @cached_property
    def answers(self) -> tuple[Answer, ...]:
        return self.registries.ask(tracked(self.tree), pins(self.tree)) if self.wanted else ()

    @property
    def stamp(self) -> list[str]:
        """What the registries say."""
        return [f"{answer.reference} {answer.found or answer.why}" for answer in self.answers]

    @property
    def seen(self) -> tuple[Move, ...]:
        """What is to be remembered: what is here, whoever answers, or else it would look as if it had come after what
        its tag moved to; and what each tag means now."""
        known = pins(self.tree)
        here = {Move(one.reference, "", digest) for one in tracked(self.tree) if (digest := one.digest(known))}
        return (*sorted(here), *(_move(answer) for answer in self.answers if answer.found))

    def survey(self, patching: Patching, facts: Facts) -> "TagSurvey":
        return TagSurvey(self, patching, facts)


class TagSurvey:
    """One look. `left`, `problems` and `stays` (names of parcels that nobody can judge now) are whole once the parcels
    were made."""

    def __init__(self, watch: Watch, patching: Patching, facts: Facts) -> None:
        self._watch, self._patching, self._facts = watch, patching, facts
        self._signers: dict[str, str] = {}
        self.problems, self.stays = list[str](), set[str]()
        self.left: list[tuple[Move, str]] = []
        for answer in watch.answers:
            if not answer.found:
                self._refuse(answer, answer.why, known=answer.known)

    @cached_property
    def found(self) -> tuple[Move, ...]:
        """Every tag that means something else now."""
        return tuple(map(_move, self._moved))

    @cached_property
    def chosen(self) -> Chosen:
        """Those that may go."""
        chosen = choose_tags(self.found, self._facts)
        self.left += chosen.left
        return Chosen(tuple(update for update in chosen.go if self._sound(update.move)), chosen.left)

    def parcels(self) -> list[Parcel]:
        """A parcel for each tag, or one for all."""
        made = (self.parcel(group) for group in groups(self.chosen, self._patching, self._facts))
        return [parcel for parcel in made if parcel]

    def parcel(self, group: frozenset[str], below: frozenset[str] = frozenset()) -> Parcel | None:
        """The parcel of some tags, on top of others that have gone before; None: it is held."""
        by_source = {update.move.source: update for update in self.chosen.go}
        updates = tuple(by_source[source] for source in sorted(group & by_source.keys()))
        if not updates:
            return None
        if held := self._facts.held.get(set_key(update.move for update in updates)):
            self.left += [(update.move, f"held: {held.why.splitlines()[0]}") for update in updates]
            return None
        data = self._text(group | below)
        images = tuple(f"{update.move.source}@{update.move.new}" for update in updates)
        text = message(updates, self._signers)
        return Parcel(self._name(updates), updates, {FILE: ()}, {}, {FILE: data}, text, images)

    @property
    def _moved(self) -> list[Answer]:
        return [answer for answer in self._watch.answers if answer.moved]

    def _sound(self, move: Move) -> bool:
        """Judge it; but for what is held, of which nobody need hear again."""
        if set_key([move]) in self._facts.held:
            return True
        (answer,) = (each for each in self._moved if each.reference == move.source)
        try:
            self._signers[move.source] = self._watch.registries.judge(answer)
        except RegistryError as error:
            self._refuse(answer, f"{short(answer.found)}: {error.message}", known=not error.transient)
            return False
        return True

    def _refuse(self, answer: Answer, why: str, *, known: bool) -> None:
        self.problems.append(f"{answer.reference}: {why}")
        self.left.append((_move(answer), why))
        if not known:
            self.stays |= {parcel_name(answer.reference), ALL}

    def _text(self, sources: Collection[str]) -> bytes:
        """images.lock with these tags moved, and every other line as it is."""
        rows = dict(pins(self._watch.tree))
        new = {update.move.source: update.move.new for update in self.chosen.go if update.move.source in sources}
        for one in tracked(self._watch.tree):
            if one.reference in new:
                rows[one.written] = new[one.reference]
                if one.beside == new[one.reference]:
                    del rows[one.written]
        return dump(rows)

    def _name(self, updates: tuple[Update, ...]) -> str:
        if len(updates) > 1 or self._patching.group is Grouping.all:
            return ALL
        return parcel_name(updates[0].move.source)


class Joined:
    """Packages and images as one survey."""

    def __init__(self, packages: Survey, images: TagSurvey) -> None:
        self._packages, self._images = packages, images

    @property
    def found(self) -> tuple[Move, ...]:
        return (*self._packages.found, *self._images.found)

    @property
    def chosen(self) -> Chosen:
        both = (self._packages.chosen, self._images.chosen)
        return Chosen(tuple(one for each in both for one in each.go), tuple(one for each in both for one in each.left))

    @property
    def left(self) -> list[tuple[Move, str]]:
        return [*self._packages.left, *self._images.left]

    @property
    def problems(self) -> list[str]:
        return self._images.problems

    @property
    def stays(self) -> set[str]:
        return self._images.stays

    def parcels(self) -> list[Parcel]:
        return [*self._packages.parcels(), *self._images.parcels()]

    def parcel(self, group: frozenset[str], below: frozenset[str] = frozenset()) -> Parcel | None:
        """The parcel of packages, or of tags, on top of others that have gone before."""
        tags = frozenset(move.source for move in self._images.found)
        if group <= tags:
            return self._images.parcel(group, below & tags)
        return self._packages.parcel(group, below - tags)


def _move(answer: Answer) -> Move:
    return Move(answer.reference, ", ".join(answer.now), answer.found)
