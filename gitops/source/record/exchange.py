"""The record of deployments and the remote's copy of it: compared, taken over where it is longer, sent where it is not.

In: the remote, a folder, our entries. Out: what the remote has, as one `Met`. Rules: what comes from the remote is
fetched into a folder that is thrown away, within bounds, and believed only as our own signed entries in order; a ref
moves forward alone, from what we saw there, which the remote compares again; nothing of a stranger's is written over.
The database is the truth; the clone here is made again when it is lost.

    exchange = Exchange(Access(url), state / "record", Reader(fleet, keys))
    met = exchange.meet(Ours(entries, sent=""), send=True)
"""

import itertools
import shutil
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType
from pygit2.remotes import TransferProgress

from gitops.errors import Reason, SourceError
from gitops.source.clone.commits import DAMAGE
from gitops.source.clone.pushing import MovedError, send
from gitops.source.clone.remote import Access, Callbacks, connect, unreachable
from gitops.source.record import chain
from gitops.source.record.chain import Reader
from gitops.source.record.entry import MAX_ENTRY, Entry, bad
from gitops.source.remotes import local

REFS = "refs/toweros/deployed/"
"""A ref each for the fleets whose controllers follow one repository."""
MAX_PAGES = 10_000
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

    def name(self, count: int) -> str:
        """The last one's commit of the first so many."""
        return self.entries[count - 1].id if count else ""


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

    def ref(self, page: int = 1) -> str:
        """Where a page of the record is."""
        return page_ref(self._reader.fleet, page)

    def meet(self, ours: Ours, *, send: bool) -> Met:
        """Look at the remote's record, and `send` it what it lacks. Never raises: `unsent` says what went wrong."""
        try:
            tips = self._ask(chain.page(len(ours.entries)))
            if strange := next((page for page, tip in enumerate(tips, 1) if tip not in ours.places), 0):
                return self._take(ours, tips, strange)
            has = _in_row(ours, tips)
            return self._send(ours, tips, has) if send else Met(ours.name(has), has, alarm=_older(ours, has))
        except SourceError as error:
            if error.reason is Reason.record_damaged:
                return Met(ours.sent, len(ours.entries), alarm=error)
            return Met(ours.sent, len(ours.entries), unsent=error)
        except DAMAGE as error:
            return Met(ours.sent, len(ours.entries), unsent=unreachable(self._access, error))

    def _ask(self, pages: int) -> list[str]:
        """The newest entry of each page of the remote's record (empty: it has none): of so many, and of those after."""
        if place := self._access.place:
            references = pygit2.Repository(str(place)).references
            return _tips(
                pages, lambda page: str(ref.resolve().target) if (ref := references.get(self.ref(page))) else ""
            )
        proxy = self._access.url.startswith("https://") or None
        callbacks = _Bounded(self._access)
        with connect(self._repository(), self._access, callbacks, DEADLINE) as remote:
            heads = remote.list_heads(callbacks=callbacks, proxy=proxy)
        named = {head.name: str(head.oid) for head in heads}
        return _tips(pages, lambda page: named.get(self.ref(page), ""))

    def _send(self, ours: Ours, tips: Sequence[str], has: int) -> Met:
        """Page by page, what the remote lacks."""
        alarm, total = _older(ours, has), len(ours.entries)
        for page in range(chain.page(has + 1), chain.page(total) + 1 if total > has else 0):
            end = min(page * chain.PAGE, total)
            there = tips[page - 1] if page <= len(tips) else ""
            try:
                if hidden := self._send_page(ours, page, there):
                    alarm = _older(ours, ours.places[hidden]) or _hidden()
            except DAMAGE as error:
                return Met(ours.name(has), has, alarm=alarm, unsent=unreachable(self._access, error))
            except SourceError as error:
                # What git-receive-pack(1) says where `receive.hideRefs` or `transfer.hideRefs` covers the ref.
                alarm = _hidden() if alarm and "hidden ref" in error.message else alarm
                return Met(ours.name(has), has, alarm=alarm, unsent=error)
            has = end
        return Met(ours.name(has), has, alarm=alarm)

    def _send_page(self, ours: Ours, page: int, there: str) -> str:
        """All of a page: libgit2 sends refs of the clone, and leaves out what the remote's own lead to: both must be
        here. Returns an entry of ours that the remote names to who writes, and hides from who reads."""
        repository, ref = self._repository(), self.ref(page)
        entries = ours.entries[(page - 1) * chain.PAGE : page * chain.PAGE]
        for entry in entries:
            if pygit2.Oid(hex=entry.id) not in repository:
                repository.odb.write(int(ObjectType.COMMIT), entry.raw)
        repository.references.create(ref, pygit2.Oid(hex=entries[-1].id), force=True)
        try:
            send(repository, self._access, f"{ref}:{ref}", ref, there)
        except MovedError as moved:
            if there or not ours.places.get(moved.seen):
                raise
            if moved.seen != entries[-1].id:
                send(repository, self._access, f"{ref}:{ref}", ref, moved.seen)
            return moved.seen
        return ""

    def _take(self, ours: Ours, tips: Sequence[str], strange: int) -> Met:
        """The remote has entries that we have not, from a page on."""
        shared = self._shared(ours, tips, strange)
        theirs, at = list[Entry](), shared
        for page in range(strange, len(tips) + 1):
            with self._fetched(page) as repository:
                raws, known = read_chain(repository, tips[page - 1], {"", *ours.places} if page == strange else {""})
            if known:
                at = ours.places[known]
            before = theirs[-1] if theirs else ours.entries[at - 1] if at else None
            theirs += self._reader.entries(reversed(raws), before)
        parted = ours.places.get(ours.sent, 0) > at
        return Met(ours.name(at), at, tuple(theirs), alarm=_forked(ours, theirs[0]) if parted else None)

    def _shared(self, ours: Ours, tips: Sequence[str], strange: int) -> int:
        """How many entries the pages before a strange one have."""
        has = _in_row(ours, tips[: strange - 1])
        if has != (strange - 1) * chain.PAGE:
            raise bad(f"its page {chain.page(has + 1)} is cut off, and page {strange} is there")
        return has

    @contextmanager
    def _fetched(self, page: int) -> Iterator[pygit2.Repository]:
        """What the remote has of a page, for as long as the context lasts."""
        place = self._folder / "theirs.git"
        shutil.rmtree(place, ignore_errors=True)
        try:
            repository = pygit2.init_repository(str(place), bare=True)
            if folder := self._access.place:
                local.fetch(repository, folder, {self.ref(page): self.ref(page)})
            else:
                self._fetch(repository, self.ref(page))
            yield repository
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _fetch(self, repository: pygit2.Repository, ref: str) -> None:
        callbacks, proxy = _Bounded(self._access), self._access.url.startswith("https://") or None
        with connect(repository, self._access, callbacks, DEADLINE) as remote:
            remote.fetch([f"+{ref}:{ref}"], callbacks=callbacks, proxy=proxy)

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
    """A page of a record is small, whatever the remote sends under its name."""

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        self._until = time.monotonic() + DEADLINE

    def transfer_progress(self, stats: TransferProgress) -> None:
        # Each entry is a commit; all have the same tree.
        if stats.received_bytes > MAX_BYTES or stats.total_objects > chain.PAGE + 1:
            raise bad("what the remote has in its place is too large for one")
        if time.monotonic() > self._until:
            raise SourceError("the record of deployments takes too long to fetch", transient=True)


def page_ref(fleet: str, page: int) -> str:
    """The ref of a page."""
    return f"{REFS}{fleet}" + (f".{page}" if page > 1 else "")


def _tips(pages: int, tip: Callable[[int], str]) -> list[str]:
    """Of so many pages, and of those after them up to the first that is not there."""
    after = itertools.takewhile(bool, map(tip, range(pages + 1, pages + MAX_PAGES)))
    return [*map(tip, range(1, pages + 1)), *after]


def _in_row(ours: Ours, tips: Sequence[str]) -> int:
    """How many of our entries the remote has, in a row from the first one on.

    Raises:
        SourceError: an entry of ours is in the place of another page.
    """
    has = 0
    for page, tip in enumerate(itertools.takewhile(bool, tips), 1):
        number = ours.places[tip]
        if chain.page(number) != page:
            raise bad(f"in the place of its page {page} is another")
        has = number
        if number != page * chain.PAGE:
            break
    return has


def _older(ours: Ours, has: int) -> SourceError | None:
    """The alarm when the remote had a newer entry than it shows now."""
    had = ours.places.get(ours.sent, 0)
    if has >= had:
        return None
    message = f"the remote's record of deployments ends with entry {has}, and it had {had}"
    hint = "somebody took it back, or the remote serves an old state of everything: ask who runs it"
    return SourceError(message, hint=hint, reason=Reason.record_withheld)


def _hidden() -> SourceError:
    """The alarm when the remote keeps the record from readers: in the same words as long as it lasts."""
    hint = f"show it there: `git config --add uploadpack.hideRefs '!{REFS}'` (and `transfer.hideRefs`), or ask its host"
    message = f"the remote hides {REFS} from who reads: nobody else can check the record of deployments"
    return SourceError(message, hint=hint, reason=Reason.record_hidden)


def _forked(ours: Ours, other: Entry) -> SourceError:
    said = other.statement
    message = f"the record of deployments has two entries {said.number}: the remote's says {said.revision}"
    hint = "two controllers wrote, or somebody has the key `record`: docs/record.md"
    return SourceError(message, hint=hint, reason=Reason.record_forked)


def read_chain(repository: pygit2.Repository, tip: str, until: Container[str]) -> tuple[list[bytes], str]:
    """The bytes of entries, newest first, back to one of `until` (empty: the beginning); and which that is.

    Raises:
        SourceError: they are no record.
    """
    raws, at = list[bytes](), tip
    while at not in until:
        raws.append(_raw(repository, at))
        if len(raws) > chain.PAGE:
            raise bad(f"it has more than {chain.PAGE} entries on a page")
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
