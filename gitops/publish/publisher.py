"""The order in which things appear, and what is refused (see the package's docstring)."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import structlog

from gitops.errors import PublishError
from gitops.model import RELEASE_FORMAT, BlobRef, Publication, Report, Statement, Target
from gitops.publish.transfers import compress, make_delta, pairs
from gitops.store import Store
from gitops.store.blobs import arriving

log = structlog.get_logger(__name__)

SUPERSEDED_KEPT = 86400
"""Seconds that superseded metadata stays, for clients that are in the middle of a slow refresh."""
HOLD_LENGTH = 200
"""Characters of a reason that travel to a box: every box of a hash bin fetches it."""

Read = Callable[[str], bytes | None]


class MetadataSigner(Protocol):
    """Turns targets into signed metadata files, in the order in which they must appear."""

    def targets(self, published: Read) -> dict[str, Target]:
        """What the published metadata offers now."""

    def metadata(self, published: Read, targets: Mapping[str, Target], now: int) -> list[tuple[str, bytes]]:
        """The files to write."""


class Publisher:
    """Writes the update repository of one store."""

    def __init__(self, store: Store, signer: MetadataSigner) -> None:
        self._store, self._signer = store, signer
        self.metadata = store.paths.metadata

    def publish(
        self,
        publications: Sequence[Publication],
        *,
        removed: Iterable[str] = (),
        holds: Mapping[str, str] | None = None,
        now: int | None = None,
    ) -> list[str]:
        """Offer `publications` to their boxes, and nothing any more to those `removed`. Returns the files written.

        `holds`: box -> why it shall not take what it is offered (docs/formats.md, `held`); None leaves that as it is.

        Raises:
            PublishError: a blob is missing, a sequence would fall, or a box cannot read what it would be offered.
        """
        targets = self._signer.targets(self._read)
        gone = {f"{box}/" for box in removed}
        targets = {path: target for path, target in targets.items() if path.split("/")[0] + "/" not in gone}
        for publication in publications:
            self._check(publication, targets.get(f"{publication.release.box}/release.json"))
            self._make_copies(publication)
            targets |= targets_of(publication)
        return self._write(targets if holds is None else held(targets, holds), now)

    def refused(self, publications: Sequence[Publication]) -> dict[str, str]:
        """Box -> why it cannot be offered its publication now. Such a box holds up nobody but itself."""
        targets = self._signer.targets(self._read)
        found = {p.release.box: self._problem(p, targets.get(f"{p.release.box}/release.json")) for p in publications}
        return {box: problem for box, problem in found.items() if problem}

    def refresh(self, now: int | None = None) -> list[str]:
        """Sign again what is due; the offer stays. Cheap when nothing is."""
        return self._write(self._signer.targets(self._read), now)

    def hold(self, reason: Callable[[str], str]) -> list[str]:
        """Hold at once what `reason` (of a box; empty: free) names, beside what is held. Returns the files written."""
        targets = self._signer.targets(self._read)
        holds = {
            path.partition("/")[0]: str(target.custom["held"])
            for path, target in targets.items()
            if "held" in target.custom
        }
        new = {box: why for path in targets if (box := path.partition("/")[0]) not in holds and (why := reason(box))}
        return self._write(held(targets, holds | new), None) if new else []

    def _write(self, targets: Mapping[str, Target], now: int | None) -> list[str]:
        files = self._signer.metadata(self._read, targets, int(time.time()) if now is None else now)
        for name, data in files:
            with arriving(self.metadata / name) as new:
                new.write_bytes(data)
        if files:
            self._prune(time.time())
            log.info("publish.metadata", files=[name for name, _ in files])
        return [name for name, _ in files]

    def _prune(self, now: float) -> None:
        """Forget versions that newer ones replaced. Every root stays: an old client walks through them all."""
        newest: dict[str, int] = {}
        versions = {path: path.name.split(".", 1) for path in self.metadata.glob("[0-9]*.json")}
        for version, role in versions.values():
            newest[role] = max(newest.get(role, 0), int(version))
        for path, (version, role) in versions.items():
            old = int(version) < newest[role] and now - path.stat().st_mtime > SUPERSEDED_KEPT
            if old and role != "root.json":
                path.unlink()

    def _read(self, name: str) -> bytes | None:
        path = self.metadata / name
        return path.read_bytes() if path.is_file() else None

    def _check(self, publication: Publication, offered: Target | None) -> None:
        problem = self._problem(publication, offered)
        if problem:
            raise PublishError(f"{publication.release.box}: {problem}", hint="see docs/operations.md, Publishing")

    def _problem(self, publication: Publication, offered: Target | None) -> str:
        release = publication.release
        missing = [ref.sha256 for ref in blobs_of(publication) if not self._store.blobs.has(ref.sha256)]
        missing += [layer.root for layer in release.layers() if not self._store.layers.has(layer.root)]
        if missing:
            return f"{missing[0]} is not in the store; the next pass makes it again"
        return refusal(publication, offered, self._store.boxes.report(release.box))

    def _make_copies(self, publication: Publication) -> None:
        for layer in publication.release.layers():
            compress(self._store.layers, layer.root)
        before = self._store.offers.published(publication.release.box)
        if before:
            for old, new in pairs(before.release, publication.release):
                make_delta(self._store.layers, old, new)


def refusal(publication: Publication, offered: Target | None, report: Report | None) -> str:
    """Why a publication must not replace what is offered now; empty when it may."""
    sequence = publication.release.sequence
    known = int(offered.custom["sequence"]) if offered else 0
    if sequence < known:
        return f"sequence {sequence} is lower than {known}, which is published"
    if offered and sequence == known and offered.ref != publication.document:
        return f"sequence {sequence} is published already with another release"
    if report and report.agent.isdecimal() and RELEASE_FORMAT not in (int(report.agent), int(report.agent) - 1):
        return f"its agent reads format {report.agent}, not {RELEASE_FORMAT}"
    return ""


def blobs_of(publication: Publication) -> tuple[BlobRef, ...]:
    """The blobs that the server must hold for a publication."""
    return (publication.document, publication.uki, publication.addon)


def targets_of(publication: Publication) -> dict[str, Target]:
    """The three targets of a box (docs/formats.md, "TUF repository")."""
    box = publication.release.box
    return {
        f"{box}/release.json": Target(publication.document, Statement.of(publication).encode()),
        f"{box}/uki.efi": Target(publication.uki),
        f"{box}/addon.efi": Target(publication.addon),
    }


def held(targets: Mapping[str, Target], holds: Mapping[str, str]) -> dict[str, Target]:
    """The targets, with the holds of all boxes as they are now."""
    result = dict(targets)
    for path, target in targets.items():
        box, _, name = path.partition("/")
        wanted = holds[box][:HOLD_LENGTH] if box in holds else None
        if name == "release.json" and target.custom.get("held") != wanted:
            custom = {key: value for key, value in target.custom.items() if key != "held"}
            result[path] = replace(target, custom=custom if wanted is None else custom | {"held": wanted})
    return result


def metadata_folder(store: Store) -> Path:
    """Where the published metadata lies."""
    return store.paths.metadata
