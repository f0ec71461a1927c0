"""Is the record of deployments whole, and does Git still have what it says? Checked offline.

In: the entries, from a clone's ref or from the controller's database; the keys that may have signed them; a clone of
the fleet repo. Out: one `Finding` for each question. Rules: nothing is fetched or written; only signatures and history
are believed.

    record    every entry is signed, numbered, and follows the one before it
    seen      an entry that somebody has noted is still in it
    history   every commit in it is in the clone, and holds the one before (but where `epoch` was raised)
    head      the branch, or the tag, holds what was deployed from it last

    findings = check_clone(Path("."), signers=b"toweros-record ...", fleet="", seen="")
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pygit2
from pygit2.enums import ReferenceFilter

from gitops.errors import SourceError, TowerosError
from gitops.fleet.keys.listed import lines
from gitops.sign.keys import guid
from gitops.sign.record import key
from gitops.source.clone.commits import DAMAGE, LocalClone
from gitops.source.record.chain import Reader
from gitops.source.record.entry import Entry, bad, public_bytes
from gitops.source.record.exchange import REFS, page_ref, read_chain
from gitops.source.record.memory import RecordMemory
from gitops.store import Store
from gitops.workflows.verify import Finding

FETCH = f"git fetch origin '{REFS}*:{REFS}*'"


def trusted(signers: bytes) -> tuple[bytes, ...]:
    """The keys of an allowed_signers file, oldest first.

    Raises:
        SourceError: it lists no Ed25519 key.
    """
    found = []
    for line in lines(signers):
        try:
            found.append(public_bytes(line.key))
        except ValueError as error:
            raise SourceError(f"line {line.number} of the signers holds no Ed25519 key") from error
    if not found:
        raise SourceError("no signer of the record is listed", hint="the controller's `toweros keys record` prints it")
    return tuple(found)


def check_clone(folder: Path, *, signers: bytes, fleet: str, seen: str) -> list[Finding]:
    """The record that a clone has. `fleet`: its GUID; empty: the only one's. `seen`: the name of an entry, or empty.

    Raises:
        SourceError: there is no clone, it has no record, or that of several fleets.
    """
    clone = LocalClone(folder)
    refs = [ref.name for ref in clone.repository.references.iterator(ReferenceFilter.ALL) if ref.name.startswith(REFS)]
    fleets = sorted({name.removeprefix(REFS).partition(".")[0] for name in refs})
    wanted = [name for name in fleets if name == fleet or not fleet]
    if not wanted:
        raise SourceError(f"{folder} holds no record of deployments{f' of {fleet}' if fleet else ''}", hint=FETCH)
    if len(wanted) > 1:
        message = f"{folder} holds the records of several fleets: {', '.join(wanted)}"
        raise SourceError(message, hint="name one with --fleet")
    try:
        entries = _pages(clone.repository, refs, Reader(wanted[0], trusted(signers)))
    except DAMAGE as error:
        return [Finding("record", False, f"unreadable: {type(error).__name__}: {error}")]
    except TowerosError as error:
        return [Finding("record", False, error.message)]
    return [*check_entries(entries, seen), *_in_git(clone, entries)]


def _pages(repository: pygit2.Repository, refs: Sequence[str], reader: Reader) -> list[Entry]:
    """Every page that a clone has, one after the other. Raises SourceError where one is missing, or no record."""
    pages = sum(name == page_ref(reader.fleet, 1) or name.startswith(page_ref(reader.fleet, 1) + ".") for name in refs)
    entries = list[Entry]()
    for page in range(1, pages + 1):
        if (name := page_ref(reader.fleet, page)) not in refs:
            raise bad(f"page {page} of it, {name}, is missing")
        raws, _ = read_chain(repository, str(repository.references[name].resolve().target), {""})
        entries += reader.entries(reversed(raws), entries[-1] if entries else None)
    return entries


def check_store(store: Store, *, signers: bytes, fleet: str, seen: str) -> list[Finding]:
    """The record that a controller has. Raises SourceError when it has none."""
    entries = RecordMemory(store.notes).entries()
    if not entries:
        raise SourceError("the controller has no record of deployments yet", hint="the next pass begins it")
    try:
        Reader(fleet, trusted(signers)).entries(entry.raw for entry in entries)
    except TowerosError as error:
        return [Finding("record", False, error.message)]
    return [*check_entries(entries, seen), *_in_git(LocalClone(store.paths.source / "clone.git"), entries)]


def recorded(store: Store, keys: Path) -> Callable[[str, int], tuple[Finding, ...]]:
    """What `verify` asks of a controller's record; it says nothing where there is none."""
    if not (keys / key.NAME).is_file() or not (entries := RecordMemory(store.notes).entries()):
        return lambda *_: ()
    signers = trusted("\n".join(key.lines(keys)).encode())

    def ask(revision: str, sequence: int) -> tuple[Finding, ...]:
        Reader(guid(keys), signers).entries(entry.raw for entry in entries)
        return (check_revision(entries, revision, sequence),)

    return ask


def check_entries(entries: Sequence[Entry], seen: str) -> list[Finding]:
    """Entries whose signatures hold."""
    first, last = entries[0].statement, entries[-1].statement
    words = f"{len(entries)} entries of fleet {last.fleet}, from {_day(first.time)} to {_day(last.time)}"
    found = [Finding("record", True, f"{words}; the newest is {entries[-1].id}: {last.revision}, {last.boxes} boxes")]
    if seen:
        there = any(entry.id.startswith(seen) for entry in entries) and len(seen) >= 12
        says = f"entry {seen} is {'' if there else 'not '}in it"
        found.append(Finding("seen", there, says if there else f"{says}: it was cut, or another one took its place"))
    return found


def check_revision(entries: Sequence[Entry], revision: str, sequence: int) -> Finding:
    """Whether a revision that a box is offered was recorded."""
    numbers = [entry.statement.number for entry in entries if entry.statement.revision == revision]
    if numbers:
        return Finding("record", True, f"entry {numbers[-1]} says that {revision} was deployed")
    if entries and sequence < entries[0].statement.sequence:
        return Finding("record", True, f"{revision} is older than the record, which begins with {_of(entries[0])}")
    return Finding("record", False, f"no entry of the record of deployments says that {revision} was deployed")


def _in_git(clone: LocalClone, entries: Sequence[Entry]) -> list[Finding]:
    """Whether Git still has what the record says."""
    wrong, before = list[str](), None
    for entry in entries:
        said = entry.statement
        if not clone.has(said.commit):
            wrong.append(f"entry {said.number}: {said.revision} is not in this clone")
        elif before and said.epoch <= before.epoch and not clone.descends(said.commit, before.commit):
            wrong.append(f"entry {said.number}: {said.revision} does not hold {before.revision}")
        before = said
    says = f"all {len(entries)} commits are here, each holds the one before it"
    history = Finding("history", not wrong, "; ".join(wrong[:5]) or says)
    return [history, _head(clone, entries[-1])]


def _head(clone: LocalClone, newest: Entry) -> Finding:
    """What the branch or tag is now, beside what was deployed from it."""
    said = newest.statement
    refs = [f"refs/tags/{said.ref}"] if said.tagged else [f"refs/remotes/origin/{said.ref}", f"refs/heads/{said.ref}"]
    head = next((commit for ref in refs if (commit := _commit(clone, ref))), "")
    if not head:
        return Finding("head", False, f"this clone has no {said.ref}, from which was deployed last")
    if head == said.commit:
        return Finding("head", True, f"{said.ref} is what was deployed last")
    if said.tagged or not clone.has(said.commit) or not clone.descends(head, said.commit):
        more = f", signed by {', '.join(said.signers)}" if said.signers else ""
        return Finding("head", False, f"{said.ref} is {head}, and does not hold what {_of(newest)} deployed{more}")
    ahead = len(clone.since(head, said.commit))
    return Finding("head", True, f"{said.ref} is {ahead} commits ahead of what was deployed last")


def _commit(clone: LocalClone, ref: str) -> str:
    try:
        return str(clone.repository.references[ref].peel(pygit2.Commit).id)
    except DAMAGE:
        return ""


def _of(entry: Entry) -> str:
    said = entry.statement
    return f"entry {said.number} of {_day(said.time)} ({said.revision})"


def _day(time: int) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M} UTC"
