"""What the mirrors have that the locks have not, as sets that can go out: locks, and the message that says why.

In: a `Relocker`, the fleet's rules, facts. Out: parcels. Rules: a set that cannot move without others takes them along,
if they may go; if they may not, it stays, and the reason is said; nothing is written.

    survey = Survey(relocker, patching, Window.packages, facts, knowledge)
    for parcel in survey.parcels(): parcel.files, parcel.message
    survey.left
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from gitops.builders.relocking.relock import Locks, NeedsMoreError, Relocker
from gitops.model import LockedFile, sha256
from gitops.model.updates.patching import Grouping, Move, Patching, Window
from gitops.security.schedule.choice import OLDER, Chosen, Facts, Update, backward, choose, groups, moves, set_key
from gitops.security.schedule.message import message

NAME = 80
"""Characters of a parcel's name."""
FIRST, DIGITS = 60, 12


@dataclass(frozen=True)
class Parcel:
    """Updates that go into one commit. `locks` are those that change, `new` the files that come with it, by package;
    `images` come with it, too (`NAME:TAG@sha256:HEX`)."""

    name: str
    updates: tuple[Update, ...]
    locks: Mapping[str, tuple[LockedFile, ...]]
    new: Mapping[str, tuple[LockedFile, ...]]
    files: Mapping[str, bytes]
    message: str
    images: tuple[str, ...] = ()

    @property
    def moves(self) -> tuple[Move, ...]:
        return tuple(update.move for update in self.updates)

    @property
    def digests(self) -> dict[str, str]:
        """The digest of each lock, by its path."""
        return {path: sha256(data) for path, data in self.files.items()}


class Survey:
    """One look. `left` is whole once the parcels were made."""

    def __init__(self, relocker: Relocker, patching: Patching, window: Window, facts: Facts) -> None:
        self._relocker, self._patching, self._window, self._facts = relocker, patching, window, facts
        self.left = list(self.chosen.left)

    @cached_property
    def found(self) -> tuple[Move, ...]:
        """All that is newer."""
        return moves(*self._told)

    @cached_property
    def chosen(self) -> Chosen:
        return choose(self.found, self._patching, self._window, self._facts, self._back)

    @cached_property
    def _told(self) -> tuple[Locks, Locks]:
        """As it is, and as it would be with all that the mirrors have."""
        before, after = (self._relocker.told(locks) for locks in (self._relocker.locks, self._relocker.newest()))
        return before, after

    @cached_property
    def _back(self) -> frozenset[str]:
        return backward(*self._told)

    def parcels(self) -> list[Parcel]:
        """A parcel for each group, beside the others: none has what another one has. One for all, where some cannot go
        alone and nobody can tell what they need."""
        made, done = list[Parcel](), set[str]()
        for group in groups(self.chosen, self._patching, self._facts):
            parcel = None if group <= done else self.parcel(group)
            if parcel:
                made = [each for each in made if not {*each.moves} <= {*parcel.moves}] + [parcel]
                done |= {move.source for move in parcel.moves}
        return made

    def parcel(self, group: frozenset[str], below: frozenset[str] = frozenset()) -> Parcel | None:
        """The parcel of some sources, on top of others that have gone before; None: they cannot go, or are held."""
        by_source = {update.move.source: update for update in self.chosen.go}
        wanted = set(group)
        for _ in range(len(by_source) + 1):
            try:
                return self._pack(wanted, below, by_source)
            except NeedsMoreError as error:
                more = {*(error.sources or by_source)} - wanted - below
                if not more or not more <= by_source.keys():
                    why = f"cannot go without {', '.join(sorted(more - by_source.keys())) or 'others'}: {error.message}"
                    self.left += [(by_source[source].move, why) for source in sorted(group)]
                    return None
                wanted |= more
        return None

    def _pack(self, wanted: set[str], below: frozenset[str], by_source: Mapping[str, Update]) -> Parcel | None:
        updates = tuple(by_source[source] for source in sorted(wanted))
        if held := self._facts.held.get(set_key(update.move for update in updates)):
            first = held.why.splitlines()[0]
            self.left += [(update.move, f"held: {first}") for update in updates]
            return None
        before, after = self._locks(below), self._locks(frozenset(wanted | below))
        changed = {path: lock for path, lock in after.items() if lock != before[path]}
        if not changed:
            return None
        if backward(before, changed):
            self.left += [(update.move, OLDER) for update in updates]
            return None
        new = {path: tuple(set(lock) - set(before[path])) for path, lock in changed.items()}
        files = {f"{path}/packages.lock": self._relocker.text(path, lock) for path, lock in changed.items()}
        text = message(updates, sorted(changed), known=self._facts.known)
        name = name_of([update.move.source for update in updates], self._patching.group, self._window)
        return Parcel(name, updates, changed, new, files, text)

    def _locks(self, sources: frozenset[str]) -> Locks:
        if not sources:
            return self._relocker.locks
        # All that is newer goes: then it is what `toweros lock` would write.
        whole = not self._back and {move.source for move in self.found} <= sources
        return self._relocker.newest() if whole else self._relocker.only(sources)


def name_of(sources: Sequence[str], group: Grouping, window: Window) -> str:
    """Of the branch: the sources; where they do not fit, the first of them and a digest of them all. The same sources
    have the same name, whatever their versions."""
    if group is Grouping.all and len(sources) > 1:
        return "kernel" if window is Window.kernel else "all"
    name = "+".join(sources)
    return name if len(name) <= NAME else f"{name[:FIRST].rstrip('+.-')}-{sha256(name.encode())[:DIGITS]}"
