"""What is signed, as of now: python-tuf's client workflow, from the root on that was given by hand.

In: a source, a root. Out: what each of some boxes is offered, and the metadata that say so, as files to be served.
Rules: nothing that is older, expired, mixed or not signed by enough keys is ever taken; what was taken is remembered
in a folder, so that it holds after a restart too. Of the boxes' own repositories (ADR 108) those of our boxes are asked
for; the one that all boxes share as long as it holds: who has an agent of before finds it here.

    trusted = Trusted(folder, root, source)
    offers = trusted.look(["site-7"])      # Offers(boxes={"site-7": {"release.json": Wanted(...), ...}}, files=[...])
"""

import json
from calendar import timegm
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import strptime

from tuf.api.exceptions import DownloadHTTPError, ExpiredMetadataError
from tuf.api.metadata import Metadata, SuccinctRoles, Targets
from tuf.ngclient import Updater

from gitops.model import BlobRef, Json
from gitops.model.paths.repositories import box_repository, site_repository
from gitops.noc.origin import Source
from gitops.noc.signed.client import MAX_METADATA, SHARED, Look, NotHereError, TrustError, looking
from gitops.noc.whose.chosen import EVERYBODY, Chosen
from gitops.publish.targets import RELEASE, box_of
from gitops.store.files.blobs import HEX

__all__ = ["MAX_METADATA", "Offers", "TrustError", "Trusted"]

NAMES = ("release.json", "uki.efi", "addon.efi", "loader.efi")
"""The targets of a box; the last one need not be there."""
MAX_BITS = 10
"""Of a target's digest: which bin it is in."""
MAX_BOOT_FILE = 256 << 20


@dataclass(frozen=True)
class Offers:
    """What is signed. `boxes`: box -> target -> blob; `unknown`: boxes that nothing is signed for; `files`: (name,
    bytes) of the metadata, in the order in which they may appear; `expires`: Unix seconds; `stated`: box -> what the
    metadata state of its release."""

    boxes: Mapping[str, Mapping[str, BlobRef]]
    unknown: tuple[str, ...]
    files: tuple[tuple[str, bytes], ...]
    expires: int
    stated: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class _Found:
    """By box, what its own repository is, None: it has none; what all boxes share; who is `chosen` by that alone."""

    own: Mapping[str, Updater | None]
    shared: Updater | None
    chosen: Chosen


class Trusted:
    """The metadata that are believed, in `folder`."""

    def __init__(self, folder: Path, root: bytes, source: Source) -> None:
        self._folder, self._root, self._source = folder, root, source

    def look(self, boxes: Iterable[str], chosen: Chosen = EVERYBODY) -> Offers:
        """The newest, for these boxes and for those that are `chosen` by what it says of them.

        Raises:
            TrustError: it is refused. OriginError: it cannot be fetched. OSError: the folder cannot be written.
        """
        with looking(self._folder, self._root, self._source) as look:
            placed = self._placed(look, chosen) if chosen else ()
            own = {box: _own(look, box) for box in sorted({*boxes, *(placed or ())})}
            found = _Found(own, self._shared(look, own, placed), chosen if placed is None else EVERYBODY)
            sites = [site_repository(chosen.site)] if placed is not None and chosen else []
            return self._offers(look, found, sites)

    @staticmethod
    def _placed(look: Look, chosen: Chosen) -> tuple[str, ...] | None:
        """Which boxes are chosen, by what is signed of their site; None: an origin of before does not say."""
        repository = site_repository(chosen.site)
        try:
            look.refreshed(repository)
        except NotHereError:
            return None
        rows = _parsed(look.role(repository, "targets")).targets.items()
        return tuple(path.rpartition("/")[2] for path, target in rows if chosen.fits(target.custom or {}))

    @staticmethod
    def _shared(look: Look, own: Mapping[str, Updater | None], placed: tuple[str, ...] | None) -> Updater | None:
        """What all boxes share; None: it is not written any more, and nobody here needs it."""
        needed = placed is None or None in own.values()
        try:
            return look.refreshed(SHARED)
        except (DownloadHTTPError, ExpiredMetadataError):
            if needed or not own:
                raise
        return None

    def _offers(self, look: Look, known: _Found, sites: list[str]) -> Offers:
        own, shared, chosen = known.own, known.shared, known.chosen
        bins = list[str]()
        names = {*own}
        if shared:
            roles = _parsed(look.role(SHARED, "targets")).delegations
            paths = _bins(roles.succinct_roles if roles else None)
            for path in paths.values():
                shared.get_targetinfo(path)
            bins = [*paths]
            if chosen:
                names |= {name for role in bins for name in self._chosen(look, role, chosen)}
        found, stated = {}, {}
        for box in sorted(names):
            updater = own.get(box) or shared
            targets = {name: info for name in NAMES if updater and (info := updater.get_targetinfo(f"{box}/{name}"))}
            if {*NAMES[:3]} <= targets.keys():
                found[box] = {name: _ref(each.hashes["sha256"], each.length) for name, each in targets.items()}
                stated[box] = dict(targets["release.json"].custom or {})
        files = [*look.roots()]
        for box in (name for name, updater in own.items() if updater):
            files += look.files(box_repository(box))
        for site in sites:
            files += look.files(site)
        files += look.files(SHARED, *bins) if shared else []
        ends = [_expires(look.role(box_repository(box), "timestamp")) for box, updater in own.items() if updater]
        return Offers(
            boxes=found,
            unknown=tuple(box for box in sorted(names) if box not in found),
            files=tuple(files),
            expires=min(ends or [_expires(look.role(SHARED, "timestamp")) if shared else 0]),
            stated=stated,
        )

    @staticmethod
    def _chosen(look: Look, role: str, chosen: Chosen) -> Iterator[str]:
        """Those boxes of a bin."""
        for path, target in _parsed(look.role(SHARED, role)).targets.items():
            if path.endswith(f"/{RELEASE}") and chosen.fits(target.custom or {}):
                yield box_of(path)


def _own(look: Look, box: str) -> Updater | None:
    try:
        return look.refreshed(box_repository(box))
    except NotHereError:
        return None


def _expires(timestamp: bytes) -> int:
    return timegm(strptime(json.loads(timestamp)["signed"]["expires"], "%Y-%m-%dT%H:%M:%SZ"))


def _parsed(data: bytes) -> Targets:
    signed: Targets = Metadata[Targets].from_bytes(data).signed
    return signed


def _bins(roles: SuccinctRoles | None) -> dict[str, str]:
    """Every hash bin, and some path in it. All are kept: whoever asks finds what is signed, of machines without a name
    too."""
    if roles is None or roles.bit_length > MAX_BITS:
        raise ValueError(f"targets.json has no hash bins, or more than {1 << MAX_BITS}")
    found, names = dict[str, str](), {*roles.get_roles()}
    for path in map(str, count()):
        if len(found) == len(names):
            return found
        found.setdefault(roles.get_role_for_target(path), path)
    raise AssertionError


def _ref(digest: str, size: int) -> BlobRef:
    if not HEX.fullmatch(digest) or not 0 < size <= MAX_BOOT_FILE:
        raise ValueError(f"a target of {size} bytes with the digest {digest[:80]!r}")
    return BlobRef(digest, size)
