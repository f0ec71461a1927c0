"""Which updates may go, and why the others stay. Pure.

In: the moves that the mirrors offer, the fleet's rules, and facts: what each one fixes, since when it is known, which
sets are held. Out: those that go, and a reason for each other one. Rules: a version that is older never goes, whatever
a mirror says; what is not known of advisories keeps nothing back, for a feed that is away must not stop updates.

    chosen = choose(moves, patching, Window.packages, facts)
    chosen.go, chosen.left          # (Update(...),), ((Move(...), "left out by `packages`"),)
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from gitops.model import Ecosystem, Finding, LockedFile, Severity, canonical, sha256
from gitops.model.updates.patching import Failed, Grouping, HeldSet, How, Move, Patching, Window
from gitops.security.versions import is_older

KERNEL = ("linux", "linux-signed-*")
"""Source packages of the kernel."""
OLDER = "the mirrors have an older version"
Locks = Mapping[str, tuple[LockedFile, ...]]


@dataclass(frozen=True)
class Facts:
    """`known`: somebody knows advisories at all. `fixed`: what each source's move mends; `unsure`: sources of which
    that is not all. `seen`: since when a move is known, Unix seconds."""

    now: int
    known: bool = False
    fixed: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    seen: Mapping[str, int] = field(default_factory=dict)
    held: Mapping[str, HeldSet] = field(default_factory=dict)
    unsure: frozenset[str] = frozenset()

    def severity(self, source: str) -> Severity:
        """Of the worst advisory that the move mends."""
        words = [finding.advisory.severity for finding in self.fixed.get(source, ())]
        return min(words, key=lambda word: word.rank, default=Severity.unknown)


@dataclass(frozen=True)
class Update:
    """A move that may go, and what it mends, as far as anybody knows; `sure`: that is all."""

    move: Move
    severity: Severity = Severity.unknown
    fixed: tuple[Finding, ...] = ()
    sure: bool = True


@dataclass(frozen=True)
class Chosen:
    """What goes, and what stays for which reason."""

    go: tuple[Update, ...] = ()
    left: tuple[tuple[Move, str], ...] = ()


def moves(before: Locks, after: Locks) -> tuple[Move, ...]:
    """Source packages whose versions are others. What only comes or only goes is no move of its own."""
    old, new = _versions(before), _versions(after)
    both = sorted(old.keys() & new.keys())
    return tuple(Move(name, ", ".join(old[name]), ", ".join(new[name])) for name in both if old[name] != new[name])


def key_of(move: Move) -> str:
    """The name of an update, for what is remembered of it."""
    return f"{move.source} {move.new}"


def set_key(moves: Iterable[Move]) -> str:
    """The name of a set of updates: another version in it, and it is another set."""
    return sha256(canonical(sorted(map(key_of, moves))))


def choose(
    found: Iterable[Move], patching: Patching, window: Window, facts: Facts, back: Container[str] = ()
) -> Chosen:
    """Every move is in one of both. `back`: sources that would become older somewhere (`backward`)."""
    go, left = list[Update](), list[tuple[Move, str]]()
    for move in found:
        why = _why_not(move, patching, window, facts) or (OLDER if move.source in back else "")
        if why:
            left.append((move, why))
        else:
            sure = move.source not in facts.unsure
            go.append(Update(move, facts.severity(move.source), facts.fixed.get(move.source, ()), sure))
    return Chosen(tuple(go), tuple(left))


def groups(chosen: Chosen, patching: Patching, facts: Facts) -> tuple[frozenset[str], ...]:
    """Sources that go into one commit each. A set that is held because one of it is bad is taken apart."""
    sources = [update.move.source for update in chosen.go]
    bad = apart(chosen, facts) or set_key(update.move for update in chosen.go) in facts.held
    if patching.group is Grouping.all and sources and not bad:
        return (frozenset(sources),)
    return tuple(frozenset({source}) for source in sources)


def apart(chosen: Chosen, facts: Facts) -> bool:
    """Whether one of these broke the boxes, and nobody knows which: then each goes by itself until that is found."""
    keys = {key_of(update.move) for update in chosen.go}
    several = [held.moves for held in facts.held.values() if held.failed is Failed.boxes and len(held.moves) > 1]
    return any(keys & set(map(key_of, moves)) for moves in several)


def ripe_at(updates: Iterable[Update], patching: Patching, facts: Facts) -> int:
    """When a set may go out by itself: the soak of its worst severity, counted from when its newest part was seen."""
    every = tuple(updates)
    worst = min((update.severity for update in every), key=lambda word: word.rank, default=Severity.unknown)
    since = max((facts.seen.get(key_of(update.move), facts.now) for update in every), default=facts.now)
    return since + patching.soak_of(worst)


def merges(updates: Iterable[Update], patching: Patching) -> bool:
    """Whether we merge this pull request ourselves, once it is ripe."""
    return any(update.severity in patching.merge for update in updates)


def by_itself(patching: Patching) -> bool:
    """Whether nobody is asked before an update goes out."""
    return patching.how is not How.pull_request


def _why_not(move: Move, patching: Patching, window: Window, facts: Facts) -> str:
    kernel = any(fnmatchcase(move.source, glob) for glob in KERNEL)
    if patching.kernel and kernel is not (window is Window.kernel):
        return f"belongs to the schedule of the {Window.kernel if kernel else Window.packages}"
    if not any(fnmatchcase(move.source, glob) for glob in patching.allow) or any(
        fnmatchcase(move.source, glob) for glob in patching.leave
    ):
        return "left out by `packages`"
    if _goes_back(move):
        return OLDER
    known = facts.known and move.source not in facts.unsure
    if patching.severities and known and facts.severity(move.source) not in patching.severities:
        return f"fixes nothing of {', '.join(patching.severities)}"
    return ""


def is_newer(versions: str, others: str) -> bool:
    """Some version of a source (several between commas) is newer than all the others; none that nobody can read is."""
    try:
        return any(
            all(is_older(Ecosystem.debian, other, version) for other in others.split(", "))
            for version in versions.split(", ")
        )
    except ValueError:
        return False


def backward(before: Locks, after: Locks) -> frozenset[str]:
    """Sources of which some lock would get an older file than it has: a mirror lost what another lock never had."""
    found = set[str]()
    for path, lock in after.items():
        old = {file.name: file for file in before.get(path, ()) if file.kind == "deb"}
        found |= {old[file.name].source or file.name for file in lock if file.name in old and _older(file, old)}
    return frozenset(found)


def _older(file: LockedFile, old: Mapping[str, LockedFile]) -> bool:
    try:
        return file.kind == "deb" and is_older(Ecosystem.debian, file.version, old[file.name].version)
    except ValueError:
        return file.version != old[file.name].version  # a version that nobody can read is not taken


def _goes_back(move: Move) -> bool:
    """Some version of it would become older than the oldest that is there."""
    old, new = move.old.split(", "), move.new.split(", ")
    try:
        return any(all(is_older(Ecosystem.debian, version, before) for before in old) for version in new)
    except ValueError:
        return True  # a version that nobody can read is not taken


def _versions(locks: Locks) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for lock in locks.values():
        for file in lock:
            if file.kind == "deb":
                found.setdefault(file.source or file.name, set()).add(file.source_version or file.version)
    return {source: sorted(versions) for source, versions in found.items()}
