"""What the server offers to this box, as far as signatures vouch for it.

The built-in root is the only thing that is trusted from the start; everything else is python-tuf's client workflow:
threshold signatures, no older metadata, no mix, no expired metadata, bounded sizes. The box's targets come from a small
repository of its own, whose timestamp says so (ADR 108); where there is none, from the one of all boxes. The roots are
the same for both, and what is believed of each is kept apart. python-tuf is imported only when there is something new:
it costs seconds on a slow machine.
"""

import json
import time
from calendar import timegm
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toweros_agent.joining.naming import NAMINGS, Naming
from toweros_agent.nouns import Offer, Refused, Target, digest
from toweros_agent.offer.carried import Carried
from toweros_agent.offer.net import CARRIED, Http, NetError
from toweros_agent.offer.repository import MISSING, SHARED, NotHereError, folder_of, note, own_of, updater_of

if TYPE_CHECKING:
    from tuf.ngclient.updater import Updater

MAX_TIMESTAMP = 16 << 10
AHEAD = 3600
"""Seconds of difference to the server's clock that are no expiry but a wrong clock."""


class Trust:
    """The trusted metadata of one box, kept in `folder`."""

    def __init__(self, http: Http, folder: Path, root: bytes, server: str, box: str) -> None:
        self.http, self.folder, self.root, self.box = http, folder, root, box
        self.url = f"{server}/metadata"
        self._etag = self._seen = ("", "")
        """Of a timestamp: which repository it is of, and its ETag."""
        self._used = SHARED

    def changed(self, own: str = "") -> bool:
        """One conditional GET: is there another timestamp than the one that `offer` took last? Raises `NetError`.

        `own`: the small repository that is meant, the box's without it."""
        own = own or own_of(self.box)
        try:
            return self._asked(own, f"{self.url}/{own}/timestamp.json")
        except NetError as error:
            if error.status not in MISSING:
                raise
        return self._asked(SHARED, f"{self.url}/timestamp.json")

    def _asked(self, repository: str, url: str) -> bool:
        taken, etag = self._etag
        headers = {"If-None-Match": etag} if etag and taken == repository else {}
        status, new, _ = self.http.get(url, MAX_TIMESTAMP, headers)
        self._seen = repository, new
        return status != 304

    def offer(self) -> Offer:
        """The whole workflow. Raises `NetError`, `OSError`, or `Refused` with python-tuf's reason."""
        with self._newest(own_of(self.box)) as updater:
            targets = {name: self._target(updater, name) for name in ("release.json", "uki.efi", "addon.efi")}
            if updater.get_targetinfo(f"{self.box}/loader.efi"):
                targets["loader.efi"] = self._target(updater, "loader.efi")
        offer = self._read(targets)
        note(self.folder, self.box, self._used)
        self._etag = self._seen if self._seen[0] == self._used else (SHARED, "")
        return offer

    def carried(self) -> Offer:
        """As `offer`, of the bundle. What is believed of it is remembered like all else, so nothing older is again."""
        server, self.url = self.url, f"{CARRIED}/metadata"
        try:
            return self.offer()
        finally:
            self.url, self._etag = server, (SHARED, "")

    def stamp(self, carried: Carried) -> bytes:
        """The timestamp of the bundle, unread. Raises `NetError`."""
        try:
            return carried.read(f"{CARRIED}/metadata/{own_of(self.box)}/timestamp.json", MAX_TIMESTAMP)
        except NetError as error:
            if error.status not in MISSING:
                raise
        return carried.read(f"{CARRIED}/metadata/timestamp.json", MAX_TIMESTAMP)

    def name_of(self, key: str) -> str:
        """The name of the box that has this key (hex), "" when nobody said it. Raises as `offer`."""
        with self._newest(own_of("", key)) as updater:
            info = updater.get_targetinfo(f"{NAMINGS}/{key}")
            name = Naming.parse(info.custom, key).box if info else ""
        self._etag = self._seen if self._seen[0] == self._used else (SHARED, "")
        return name

    @contextmanager
    def _newest(self, own: str) -> Iterator["Updater"]:
        """The newest metadata that hold, of the small repository, or of all boxes' where that is not. Raises as
        `offer`."""
        from tuf.api.exceptions import DownloadError, ExpiredMetadataError, RepositoryError

        try:
            try:
                updater = self._refreshed(own)
            except NotHereError:
                updater = self._refreshed(SHARED)
            except ExpiredMetadataError as late:  # a controller of before writes the shared one alone
                updater = self._instead(late)
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

    def _refreshed(self, repository: str) -> "Updater":
        folder = folder_of(self.folder, repository)
        updater = updater_of(self.http, folder, self.url, self.root, repository)
        updater.refresh()
        self._used = repository
        return updater

    def _instead(self, late: Exception) -> "Updater":
        """All boxes' repository, where that holds still. Raises `late`."""
        from tuf.api.exceptions import DownloadError, RepositoryError

        try:
            return self._refreshed(SHARED)
        except (DownloadError, RepositoryError):
            raise late from None

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
            signed = json.loads((self.folder / self._used / "timestamp.json").read_bytes())["signed"]
            expires = timegm(time.strptime(signed["expires"], "%Y-%m-%dT%H:%M:%SZ"))
        except (ValueError, TypeError, KeyError) as error:
            raise Refused(f"metadata: timestamp.json: {type(error).__name__}: {error}") from error
        return Offer.parse(targets["release.json"][1], {name: target for name, (target, _) in targets.items()}, expires)
