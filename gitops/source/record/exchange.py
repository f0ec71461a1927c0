"""The record of deployments and the remote's copy of it: compared, taken over where it is longer, sent where it is not.

In: the remote, a folder, our entries. Out: what the remote has, as one `Met`. Rules: what comes from the remote is
fetched into a folder that is thrown away, within bounds, and believed only as our own signed entries in order; a ref
moves forward alone, from what we saw there, which the remote compares again; nothing of a stranger's is written over.
The database is the truth; the clone here is made again when it is lost.

    exchange = Exchange(Access(url), state / "record", Reader(fleet, keys))
    met = exchange.meet(Ours(entries, sent=""), send=True)
"""

import shutil
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType
from pygit2.remotes import TransferProgress

from gitops.errors import Reason, SourceError
from gitops.source.clone.commits import DAMAGE
from gitops.source.clone.pushing import send
from gitops.source.clone.remote import Access, Callbacks, connect, unreachable
from gitops.source.record.chain import MAX_ENTRIES, Reader
from gitops.source.record.entry import MAX_ENTRY, Entry, bad
from gitops.source.remotes import local

REFS = "refs/toweros/deployed/"
"""A ref each for the fleets whose controllers follow one repository."""
MAX_BYTES = 64 << 20
"""Of one download."""
DEADLINE = 120.0
"""Seconds of one download."""


@dataclass(frozen=True)
class Ours:
    """Our entries, oldest first, and the one that the remote had last (empty: none)."""

    entries: tuple[Entry, ...]
    sent: str

    @cached_property
    def places(self) -> dict[str, int]:
        """An entry's commit -> how many entries there are up to it."""
        return {"": 0} | {entry.id: number for number, entry in enumerate(self.entries, 1)}

    @property
    def tip(self) -> str:
        return self.entries[-1].id if self.entries else ""


@dataclass(frozen=True)
class Met:
    """What the remote has: `sent`, its newest entry that we have, too; `theirs`, entries that we have not, after our
    first `shared` ones. `alarm`: what people must look at; `unsent`: why it does not have all of ours."""

    sent: str = ""
    shared: int = 0
    theirs: tuple[Entry, ...] = ()
    alarm: SourceError | None = None
    unsent: SourceError | None = None


class Exchange:
    """With the record of one fleet at one remote."""

    def __init__(self, access: Access, folder: Path, reader: Reader) -> None:
        access.check()
        folder.mkdir(parents=True, exist_ok=True)
        access.home(folder / "home")
        self._access, self._folder, self._reader = access, folder, reader
        self.ref = f"{REFS}{reader.fleet}"

    def meet(self, ours: Ours, *, send: bool) -> Met:
        """Look at the remote's record, and `send` it what it lacks. Never raises: `unsent` says what went wrong."""
        try:
            theirs = self._ask()
            if theirs in ours.places:
                return (
                    self._send(ours, theirs) if send else Met(theirs, ours.places[theirs], alarm=_older(ours, theirs))
                )
            return self._take(ours, theirs)
        except SourceError as error:
            if error.reason is Reason.record_damaged:
                return Met(ours.sent, len(ours.entries), alarm=error)
            return Met(ours.sent, len(ours.entries), unsent=error)
        except DAMAGE as error:
            return Met(ours.sent, len(ours.entries), unsent=unreachable(self._access, error))

    def _ask(self) -> str:
        """The newest entry of the remote's record; empty: it has none."""
        if place := self._access.place:
            ref = pygit2.Repository(str(place)).references.get(self.ref)
            return str(ref.resolve().target) if ref else ""
        proxy = self._access.url.startswith("https://") or None
        heads = connect(self._repository(), self._access).list_heads(callbacks=_Bounded(self._access), proxy=proxy)
        return next((str(head.oid) for head in heads if head.name == self.ref), "")

    def _send(self, ours: Ours, theirs: str) -> Met:
        alarm = _older(ours, theirs)
        if theirs == ours.tip:
            return Met(theirs, len(ours.entries), alarm=alarm)
        try:
            repository = self._repository()
            for entry in ours.entries[ours.places[theirs] :]:
                repository.odb.write(int(ObjectType.COMMIT), entry.raw)
            # libgit2 sends refs of the clone, and leaves out what the remote's own lead to: both must be here.
            for entry in ours.entries[: ours.places[theirs]]:
                if pygit2.Oid(hex=entry.id) not in repository:
                    repository.odb.write(int(ObjectType.COMMIT), entry.raw)
            repository.references.create(self.ref, pygit2.Oid(hex=ours.tip), force=True)
            send(repository, self._access, f"{self.ref}:{self.ref}", self.ref, theirs)
        except DAMAGE as error:
            return Met(theirs, ours.places[theirs], alarm=alarm, unsent=unreachable(self._access, error))
        except SourceError as error:
            return Met(theirs, ours.places[theirs], alarm=alarm, unsent=error)
        return Met(ours.tip, len(ours.entries), alarm=alarm)

    def _take(self, ours: Ours, tip: str) -> Met:
        """The remote has entries that we have not."""
        with self._fetched() as repository:
            raws, at = read_chain(repository, tip, ours.places)
        shared = ours.places[at]
        entries = self._reader.entries(reversed(raws), ours.entries[shared - 1] if shared else None)
        parted = ours.places.get(ours.sent, 0) > shared
        return Met(at, shared, tuple(entries), alarm=_forked(ours, entries[0]) if parted else None)

    @contextmanager
    def _fetched(self) -> Iterator[pygit2.Repository]:
        """What the remote has under our ref, for as long as the context lasts."""
        place = self._folder / "theirs.git"
        shutil.rmtree(place, ignore_errors=True)
        try:
            repository = pygit2.init_repository(str(place), bare=True)
            if folder := self._access.place:
                local.fetch(repository, folder, {self.ref: self.ref})
            else:
                self._fetch(connect(repository, self._access))
            yield repository
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _fetch(self, remote: pygit2.Remote) -> None:
        proxy = self._access.url.startswith("https://") or None
        remote.fetch([f"+{self.ref}:{self.ref}"], callbacks=_Bounded(self._access), proxy=proxy)

    def _repository(self) -> pygit2.Repository:
        path = self._folder / "clone.git"
        for file in path.rglob("*.lock"):  # a killed push leaves them
            file.unlink()
        with suppress(pygit2.GitError, KeyError, ValueError):
            repository = pygit2.Repository(str(path))
            repository.references["HEAD"]
            return repository
        shutil.rmtree(path, ignore_errors=True)
        repository = pygit2.init_repository(str(path), bare=True)
        repository.TreeBuilder().write()
        return repository


class _Bounded(Callbacks):
    """A record is small, whatever the remote sends under its name."""

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        self._until = time.monotonic() + DEADLINE

    def transfer_progress(self, stats: TransferProgress) -> None:
        # Each entry is a commit; all have the same tree.
        if stats.received_bytes > MAX_BYTES or stats.total_objects > MAX_ENTRIES + 1:
            raise bad("what the remote has in its place is too large for one")
        if time.monotonic() > self._until:
            raise SourceError("the record of deployments takes too long to fetch", transient=True)


def _older(ours: Ours, theirs: str) -> SourceError | None:
    """The alarm when the remote had a newer entry than it shows now."""
    had, has = ours.places.get(ours.sent, 0), ours.places[theirs]
    if has >= had:
        return None
    message = f"the remote's record of deployments ends with entry {has}, and it had {had}"
    hint = "somebody took it back, or the remote serves an old state of everything: ask who runs it"
    return SourceError(message, hint=hint, reason=Reason.record_withheld)


def _forked(ours: Ours, other: Entry) -> SourceError:
    said = other.statement
    message = f"the record of deployments has two entries {said.number}: the remote's says {said.revision}"
    hint = "two controllers wrote, or somebody has the key `record`: docs/operations.md, The record of deployments"
    return SourceError(message, hint=hint, reason=Reason.record_forked)


def read_chain(repository: pygit2.Repository, tip: str, until: Container[str]) -> tuple[list[bytes], str]:
    """The bytes of entries, newest first, back to one of `until` (empty: the beginning); and which that is.

    Raises:
        SourceError: they are no record.
    """
    raws, at = list[bytes](), tip
    while at not in until:
        raws.append(_raw(repository, at))
        if len(raws) > MAX_ENTRIES:
            raise bad(f"it has more than {MAX_ENTRIES} entries")
        at = _parent(raws[-1])
    return raws, at


def _raw(repository: pygit2.Repository, identity: str) -> bytes:
    """A commit's bytes, once its header says that they are few."""
    try:
        oid = pygit2.Oid(hex=identity)
    except ValueError as error:
        raise bad("something that is no entry is in it") from error
    if oid not in repository:
        raise bad("it is cut off")
    kind, size = repository.odb.read_header(oid)
    if kind != ObjectType.COMMIT or size > MAX_ENTRY:
        raise bad("something that is no entry is in it")
    return bytes(repository.odb.read(oid)[1])


def _parent(raw: bytes) -> str:
    """The entry before, by the commit's second line; empty: there is none."""
    line = raw.partition(b"\n")[2].partition(b"\n")[0]
    return line.removeprefix(b"parent ").decode(errors="replace") if line.startswith(b"parent ") else ""
