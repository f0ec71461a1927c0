"""What the server offers to this box, as far as signatures vouch for it.

The built-in root is the only thing that is trusted from the start; everything else is python-tuf's client workflow:
threshold signatures, no older metadata, no mix, no expired metadata, bounded sizes. The box's three targets come from
one hash bin. python-tuf is imported only when there is something new: it costs seconds on a slow machine.
"""

import json
import time
from calendar import timegm
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toweros_agent.joining.naming import NAMINGS, Naming
from toweros_agent.nouns import Json, Offer, Refused, Target, digest, sha256
from toweros_agent.offer.net import CARRIED, Http, NetError

if TYPE_CHECKING:
    from tuf.ngclient.updater import Updater

MAX_TIMESTAMP = 16 << 10
MAX_METADATA = 4 << 20
AHEAD = 3600
"""Seconds of difference to the server's clock that are no expiry but a wrong clock."""


class Trust:
    """The trusted metadata of one box, kept in `folder`."""

    def __init__(self, http: Http, folder: Path, root: bytes, server: str, box: str) -> None:
        self.http, self.folder, self.root, self.box = http, folder, root, box
        self.url = f"{server}/metadata"
        self.etag = self._seen = ""

    def changed(self) -> bool:
        """One conditional GET: is there another timestamp than the one that `offer` took last? Raises `NetError`."""
        headers = {"If-None-Match": self.etag} if self.etag else {}
        status, self._seen, _ = self.http.get(f"{self.url}/timestamp.json", MAX_TIMESTAMP, headers)
        return status != 304

    def offer(self) -> Offer:
        """The whole workflow. Raises `NetError`, `OSError`, or `Refused` with python-tuf's reason."""
        with self._newest() as updater:
            targets = {name: self._target(updater, name) for name in ("release.json", "uki.efi", "addon.efi")}
            if updater.get_targetinfo(f"{self.box}/loader.efi"):
                targets["loader.efi"] = self._target(updater, "loader.efi")
        offer = self._read(targets)
        self.etag = self._seen
        return offer

    def carried(self) -> Offer:
        """As `offer`, of the bundle. What is believed of it is remembered like all else, so nothing older is again."""
        server, self.url = self.url, f"{CARRIED}/metadata"
        try:
            return self.offer()
        finally:
            self.url, self.etag = server, ""

    def name_of(self, key: str) -> str:
        """The name of the box that has this key (hex), "" when nobody said it. Raises as `offer`."""
        with self._newest() as updater:
            info = updater.get_targetinfo(f"{NAMINGS}/{key}")
            name = Naming.parse(info.custom, key).box if info else ""
        self.etag = self._seen
        return name

    @contextmanager
    def _newest(self) -> Iterator["Updater"]:
        """The newest metadata that hold. Raises as `offer`."""
        from tuf.api.exceptions import DownloadError, ExpiredMetadataError, RepositoryError

        try:
            updater = updater_of(self.http, self.folder, self.url, self.root)
            updater.refresh()
            yield updater
            self.http.doubted.discard(self.url)
        except DownloadError as error:
            raise NetError(f"metadata: {error.__cause__ or error}") from error
        except ExpiredMetadataError as error:
            self.http.pass_over()
            raise Refused(f"metadata: {self._clock()}{type(error).__name__}: {error}") from error
        except (RepositoryError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self.http.doubt(self.url)
            raise Refused(f"metadata: {type(error).__name__}: {error}") from error

    def _clock(self) -> str:
        """A clock that is ahead lets everything look expired: then that is what is wrong."""
        now, theirs = time.time(), self.http.server_time
        if not theirs or now - theirs < AHEAD:
            return ""
        ours, other = (time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(each)) for each in (now, theirs))
        return f"the clock is ahead: it says {ours}, the server {other}; so what is signed looks expired: "

    def _target(self, updater: "Updater", name: str) -> tuple[Target, Any]:
        info = updater.get_targetinfo(f"{self.box}/{name}")
        if info is None:
            raise Refused(f"metadata: there is no {self.box}/{name}")
        return Target(info.path, digest(info.hashes["sha256"]), info.length), info.custom

    def _read(self, targets: dict[str, tuple[Target, Any]]) -> Offer:
        try:
            signed = json.loads((self.folder / "timestamp.json").read_bytes())["signed"]
            expires = timegm(time.strptime(signed["expires"], "%Y-%m-%dT%H:%M:%SZ"))
        except (ValueError, TypeError, KeyError) as error:
            raise Refused(f"metadata: timestamp.json: {type(error).__name__}: {error}") from error
        return Offer.parse(targets["release.json"][1], {name: target for name, (target, _) in targets.items()}, expires)


def seen(folder: Path) -> Json | None:
    """The newest metadata that were believed: versions, and the timestamp's digest. None: none yet, or damaged."""
    try:
        data = (folder / "timestamp.json").read_bytes()
        signed = json.loads(data)["signed"]
        versions = {"timestamp": signed["version"], "snapshot": signed["meta"]["snapshot.json"]["version"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {**versions, "sha256": sha256(data)}


def updater_of(http: Http, folder: Path, url: str, root: bytes) -> "Updater":
    """python-tuf's client workflow with our limits, from the built-in root on. Trusted metadata is kept in `folder`."""
    from tuf.ngclient.config import UpdaterConfig
    from tuf.ngclient.updater import Updater

    config = UpdaterConfig(targets_max_length=MAX_METADATA, snapshot_max_length=MAX_METADATA)
    return Updater(str(folder), url, fetcher=_fetcher(http), config=config, bootstrap=root)


def _fetcher(http: Http) -> Any:
    """python-tuf's view of our own HTTP: same limits, no temporary files."""
    from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError
    from tuf.ngclient.fetcher import FetcherInterface

    class Fetcher(FetcherInterface):
        # A box's targets come by `offer.fetch`; through here comes what is small.
        def _fetch(self, url: str) -> Iterator[bytes]:
            yield self.download_bytes(url, MAX_METADATA)

        def download_bytes(self, url: str, max_length: int) -> bytes:
            try:
                return http.get(url, max_length)[2]
            except NetError as error:
                if error.status == 413:
                    raise DownloadLengthMismatchError(str(error)) from error
                if error.status:
                    raise DownloadHTTPError(str(error), error.status) from error
                raise DownloadError(str(error)) from error

    return Fetcher()
