"""What is signed, as of now: python-tuf's client workflow, from the root on that was given by hand.

In: a source, a root. Out: what each of some boxes is offered, and the metadata that say so, as files to be served.
Rules: nothing that is older, expired, mixed or not signed by enough keys is ever taken; what was taken is remembered
in a folder, so that it holds after a restart too.

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

from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, RepositoryError
from tuf.api.metadata import Metadata, SuccinctRoles, Targets
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from gitops.errors import TowerosError
from gitops.model import BlobRef, Json
from gitops.noc.origin import OriginError, Source
from gitops.noc.whose.chosen import EVERYBODY, Chosen
from gitops.publish.targets import RELEASE, box_of
from gitops.store.files.blobs import HEX

MAX_METADATA = 4 << 20
NAMES = ("release.json", "uki.efi", "addon.efi", "loader.efi")
"""The targets of a box; the last one need not be there."""
MAX_BITS = 10
"""Of a target's digest: which bin it is in."""
MAX_BOOT_FILE = 256 << 20
WRONG = (RepositoryError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What damaged metadata end in."""


class TrustError(TowerosError):
    """What is signed is refused: older, expired, mixed, damaged, or of another root."""


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


class Trusted:
    """The metadata that are believed, in `folder`."""

    def __init__(self, folder: Path, root: bytes, source: Source) -> None:
        self._folder, self._root, self._source = folder, root, source

    def look(self, boxes: Iterable[str], chosen: Chosen = EVERYBODY) -> Offers:
        """The newest, for these boxes and for those that are `chosen` by what it says of them.

        Raises:
            TrustError: it is refused. OriginError: it cannot be fetched. OSError: the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            config = UpdaterConfig(targets_max_length=MAX_METADATA, snapshot_max_length=MAX_METADATA)
            fetcher = _Fetcher(self._source)
            updater = Updater(str(self._folder), "", fetcher=fetcher, config=config, bootstrap=self._root)
            updater.refresh()
            return self._read(updater, {*boxes}, chosen)
        except DownloadError as error:
            raise error.__cause__ if isinstance(error.__cause__, OriginError) else OriginError(str(error)) from error
        except WRONG as error:
            raise TrustError(f"what is signed is refused: {type(error).__name__}: {error}") from error

    def _read(self, updater: Updater, asked: set[str], chosen: Chosen) -> Offers:
        roles = _parsed(self._bytes("targets")).delegations
        bins = _bins(roles.succinct_roles if roles else None)
        for path in bins.values():
            updater.get_targetinfo(path)
        boxes = sorted(asked | ({name for role in bins for name in self._chosen(role, chosen)} if chosen else set()))
        found, stated = {}, {}
        for box in boxes:
            targets = {name: info for name in NAMES if (info := updater.get_targetinfo(f"{box}/{name}"))}
            if {*NAMES[:3]} <= targets.keys():
                found[box] = {name: _ref(each.hashes["sha256"], each.length) for name, each in targets.items()}
                stated[box] = dict(targets["release.json"].custom or {})
        stamp = json.loads(self._bytes("timestamp"))["signed"]
        return Offers(
            boxes=found,
            unknown=tuple(box for box in boxes if box not in found),
            files=tuple(self._files(bins)),
            expires=timegm(strptime(stamp["expires"], "%Y-%m-%dT%H:%M:%SZ")),
            stated=stated,
        )

    def _chosen(self, role: str, chosen: Chosen) -> Iterator[str]:
        """Those boxes of a bin."""
        for path, target in _parsed(self._bytes(role)).targets.items():
            if path.endswith(f"/{RELEASE}") and chosen.fits(target.custom or {}):
                yield box_of(path)

    def _files(self, bins: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """As a server has them; what others lead to comes first, the timestamp last."""
        history = self._folder / "root_history"
        for path in sorted(history.glob("[0-9]*.root.json"), key=lambda each: int(each.name.partition(".")[0])):
            yield path.name, path.read_bytes()
        for role in (*bins, "targets", "snapshot"):
            data = self._bytes(role)
            yield f"{json.loads(data)['signed']['version']}.{role}.json", data
        yield "timestamp.json", self._bytes("timestamp")

    def _bytes(self, role: str) -> bytes:
        return (self._folder / f"{role}.json").read_bytes()


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


class _Fetcher(FetcherInterface):
    """python-tuf's view of a source: same limits, no temporary files."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def _fetch(self, url: str) -> Iterator[bytes]:
        yield self.download_bytes(url, MAX_METADATA)

    def download_bytes(self, url: str, max_length: int) -> bytes:
        try:
            return self._source.get(f"metadata/{url.lstrip('/')}", max_length)
        except OriginError as error:
            if error.missing:
                raise DownloadHTTPError(error.message, 404) from error
            if error.large:
                raise DownloadLengthMismatchError(error.message) from error
            raise DownloadError(error.message) from error
