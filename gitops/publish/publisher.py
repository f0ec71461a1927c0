"""The order in which things appear (see the package's docstring)."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import structlog

from gitops.errors import PublishError, readable
from gitops.model import Json, Publication, Target
from gitops.publish import clock
from gitops.publish.disks import Disks
from gitops.publish.folder import Folder
from gitops.publish.offered import WHOLE, offered
from gitops.publish.older import Older
from gitops.publish.targets import (
    LOADER,
    RECEIPTS,
    RELEASE,
    Members,
    box_of,
    each_named,
    held,
    holds_of,
    named,
    places_of,
    refusal,
    renamed,
    said_of,
    targets_of,
    tried_again,
)
from gitops.publish.transfers import make_copies
from gitops.store import LeaseError, Store
from gitops.store.offers import SLICE

log = structlog.get_logger(__name__)

Read = Callable[[str], bytes | None]


class Written(Protocol):
    """Some repositories: their files, their timestamps, which appear last, and which of them go."""

    @property
    def files(self) -> list[tuple[str, bytes]]: ...

    @property
    def stamps(self) -> list[tuple[str, bytes]]: ...

    @property
    def gone(self) -> list[str]: ...

    @property
    def names(self) -> list[str]: ...


class MetadataSigner(Protocol):
    """Turns targets into signed metadata files, in the order in which they must appear."""

    def targets(self, published: Read) -> dict[str, Target]:
        """What the published metadata offers now."""

    @property
    def receipts(self) -> str:
        """The key by which the server signs that it got a report; empty: it does not."""

    def signed(self, published: Read, shelf: Folder | None = None) -> int:
        """When a published timestamp was signed last (Unix seconds); 0: there is none."""

    def roots(self, published: Read, clock: int) -> list[tuple[str, bytes]]:
        """The roots to write, where the time is `clock`."""

    def offered(self, shelf: Folder) -> Mapping[str, Mapping[str, Target] | None]:
        """What each box's own repository offers now; None: it is damaged."""

    def small(self, shelf: Folder, targets: Mapping[str, Target], now: int) -> Iterator[Written]:
        """What is to be written of the boxes' own repositories, dated `now`."""

    def metadata(
        self, published: Read, targets: Mapping[str, Target], now: int, clock: int | None = None
    ) -> list[tuple[str, bytes]]:
        """The files to write, dated `now`; `clock` is the time that it is, if that is another."""


class Publisher:
    """Writes the update repository of one store."""

    def __init__(self, store: Store, signer: MetadataSigner) -> None:
        self._store, self._signer = store, signer
        self._metadata = Folder(store.paths.metadata)
        self._older = Older(store, self._metadata)
        self.members: Members = {}
        """What else is said of each box from the next `publish` on: `WIPE` (box -> the key of its machine that is to be
        wiped), `SITE`, `LABELS`, `NETBOOT`, `APPLY`, `NEXT`. What is not in here stays as it is."""

    def publish(
        self,
        publications: Sequence[Publication],
        *,
        removed: Iterable[str] = (),
        holds: Mapping[str, str] | None = None,
        retries: Mapping[str, tuple[str, ...]] | None = None,
        now: int | None = None,
        judged: bool = False,
    ) -> list[str]:
        """Offer `publications` to their boxes, and nothing any more to those `removed`. Returns the files written.

        `holds`: box -> why it shall not take what it is offered (docs/formats.md, `held`); None leaves that as it is.
        `retries`: box -> why it shall try again what failed; None likewise.
        `judged`: `refused` was asked just now, and made their copies. A report that came since must not end everybody's
        pass: its box refuses what it cannot take, and the next pass sees it.

        Raises:
            PublishError: a blob is missing, a sequence would fall, or a box cannot read what it would be offered.
        """
        gone = {*removed}
        targets = {path: target for path, target in self._targets().items() if box_of(path) not in gone}
        for publication in publications:
            if not judged:
                self._judge(publication, targets)
            targets.pop(f"{publication.release.box}/{LOADER}", None)  # an older controller's candidate has none
            targets |= targets_of(publication)
        targets = targets if holds is None else held(targets, holds)
        targets = targets if retries is None else tried_again(targets, retries)
        for member, values in self.members.items():
            targets = each_named(targets, member, values)
        return self._write(targets, now)

    def refused(self, publications: Sequence[Publication]) -> dict[str, str]:
        """Box -> why it cannot be offered its publication now. Such a box holds up nobody but itself."""
        targets, disks, problems = self._targets(), Disks(self._store), dict[str, str]()
        for start in range(0, len(publications), SLICE):
            some = publications[start : start + SLICE]
            with disks.read(each.release.box for each in some):
                problems |= {each.release.box: self._trouble(each, targets, disks) for each in some}
        return {box: problem for box, problem in problems.items() if problem}

    def _judge(self, publication: Publication, targets: Mapping[str, Target]) -> None:
        """Raises PublishError."""
        if problem := self._problem(publication, targets, Disks(self._store)):
            raise PublishError(f"{publication.release.box}: {problem}", hint="see docs/operations.md, At 3 a.m.")
        make_copies(self._store.layers, self._store.offers.published(publication.release.box), publication)

    def _trouble(self, publication: Publication, targets: Mapping[str, Target], disks: Disks) -> str:
        """As `_problem`, and whatever keeps its files from being made: a full disk, a tool, damaged records."""
        try:
            problem = self._problem(publication, targets, disks)
            if not problem:
                make_copies(self._store.layers, self._store.offers.published(publication.release.box), publication)
            return problem
        except LeaseError:
            raise
        except Exception as caught:
            return readable(caught).message

    def refresh(self, now: int | None = None) -> list[str]:
        """Sign again what is due; the offer stays. Cheap when nothing is."""
        return self._write(self._targets(), now)

    def name(self, names: Mapping[str, str]) -> list[str]:
        """Say which box each machine without a name is (key -> box), and of no other any more. Returns the files
        written."""
        targets = self._targets()
        return self._write(new, None) if (new := renamed(targets, names)) != targets else []

    def hold(self, reason: Callable[[str], str]) -> list[str]:
        """Hold at once what `reason` (of a box; empty: free) names, beside what is held. Returns the files written."""
        targets = self._targets()
        holds = holds_of(targets)
        boxes = {box_of(path) for path in targets if path.endswith(f"/{RELEASE}")}
        new = {box: why for box in boxes - {*holds} if (why := reason(box))}
        return self._write(held(targets, holds | new), None) if new else []

    def said(self, member: str) -> dict[str, Json]:
        """Box -> what `member` says of it now (`APPLY`, `NEXT`)."""
        return said_of(self._targets(), member)

    @property
    def signed(self) -> int:
        """When it was published last (Unix seconds); 0: never."""
        return self._signer.signed(self._metadata.read, self._metadata)

    def offered(self) -> dict[str, Target]:
        """What the published metadata offer now."""
        return self._targets()

    def _newest(self) -> int:
        """When the newest commit was made (Unix seconds) of those that are published; 0: none is."""
        return max((int(each.custom.get("time", 0)) for each in self._targets().values()), default=0)

    def _targets(self) -> dict[str, Target]:
        return offered(self._signer, self._metadata, self._store)

    def _write(self, targets: Mapping[str, Target], now: int | None) -> list[str]:
        targets = named(targets, RECEIPTS, self._signer.receipts)
        time_ = int(time.time()) if now is None else now
        when = clock.moment(self._store, time_, self.signed, self._newest) if now is None else now
        roots = self._signer.roots(self._metadata.read, time_)
        names = self._put(roots) if roots else []
        for written in self._signer.small(self._metadata, {**targets, **places_of(targets)}, when):
            names += self._put_together(written.files) + self._put_together(written.stamps)
            for repository in written.gone:
                self._metadata.remove(repository)
            self._metadata.prune_small(written.names)
        if not self._metadata.stamp(WHOLE):
            self._metadata.write(WHOLE, b"")
        older = self._older.wanted(targets, time_)
        shared = self._signer.metadata(self._metadata.read, targets, when, time_) if older else []
        if shared:
            names += self._put(shared)
            self._metadata.prune(time.time())
        if names:
            log.info("publish.metadata", files=len(names), last=names[-1])
        return names

    def _put(self, files: Sequence[tuple[str, bytes]]) -> list[str]:
        """In this order, none of them in another controller's time."""
        with self._store.lease.publishing() as staging:
            for name, data in files:
                self._metadata.write(name, data, staging)
        return [name for name, _ in files]

    def _put_together(self, files: Sequence[tuple[str, bytes]]) -> list[str]:
        """All of them, in no order."""
        with self._store.lease.publishing() as staging:
            self._metadata.write_all(files, staging)
        return [name for name, _ in files]

    def _let_go(self, publication: Publication) -> list[str]:
        """What is not what its name says goes, and with a layer what was made of it: nothing that is signed names it
        as it is. Returns what that was."""
        blobs, layers = self._store.blobs, self._store.layers
        damaged = []
        for ref in publication.files.values():
            if not blobs.proven(ref):
                blobs.remove(ref.sha256)
                damaged.append(f"blob sha256:{ref.sha256}")
        for layer in publication.release.layers():
            if not layers.proven(layer):
                layers.remove(layer.root)
                damaged.append(f"layer {layer.root}")
        if damaged:
            log.warning("publish.damaged", files=damaged, hint="look after the disk")
        return damaged

    def _problem(self, publication: Publication, targets: Mapping[str, Target], disks: Disks) -> str:
        """Why it must not be offered; empty when it may."""
        release, blobs = publication.release, publication.files.values()
        missing = [ref.sha256 for ref in blobs if not self._store.blobs.has(ref.sha256)]
        missing += [layer.root for layer in release.layers() if not self._store.layers.has(layer.root)]
        if missing:
            return f"{missing[0]} is not in the store; the next pass makes it again"
        if damaged := self._let_go(publication):
            return f"{damaged[0]} was damaged on disk; the next pass makes it again"
        problem = refusal(publication, targets, self._store.boxes.report(release.box))
        return problem or disks.shortage(publication)
