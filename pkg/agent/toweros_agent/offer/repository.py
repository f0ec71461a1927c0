"""The repositories of metadata: a box's own, a nameless machine's own, and the one that all boxes share (ADR 108).

In: which one, our HTTP. Out: python-tuf's client on it, with our limits. Rules: all are signed by the same keys, so a
small one is believed only if its timestamp says which it is, and the shared one only if its timestamp says nothing:
otherwise another box's, whose versions are higher, could take the place of this one's for good. All roots that were
ever believed count for each: no repository begins again with a root that was replaced.

    tuf/timestamp.json ...  root_history/N.root.json            of all boxes
    tuf/boxes/NAME/timestamp.json ...  root_history -> ../../root_history
    tuf/shared                                                  while the box's own one was not there
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toweros_agent.nouns import Json, sha256
from toweros_agent.offer.net import Http, NetError

if TYPE_CHECKING:
    from tuf.ngclient.updater import Updater

MAX_METADATA = 4 << 20
SHARED = ""
"""The repository of all boxes."""
MISSING = (403, 404, 410)
"""What servers say of what is not there: some that serve files do not tell 403 and 404 apart."""
MEMBER = "of"
"""Of a timestamp: its repository."""
MARK = "shared"


class NotHereError(Exception):
    """Nobody there has this repository."""


def own_of(box: str, key: str = "") -> str:
    """The small repository of a box; of a machine without a name, by its key (hex)."""
    return f"claims/{key}" if key else f"boxes/{box}"


def folder_of(folder: Path, repository: str) -> Path:
    """Where its metadata are kept. Raises `OSError`."""
    own = folder / repository
    if repository != SHARED:
        own.mkdir(parents=True, exist_ok=True)
        (folder / "root_history").mkdir(exist_ok=True)
        if not (own / "root_history").exists():
            (own / "root_history").unlink(missing_ok=True)
            (own / "root_history").symlink_to("../../root_history")
    return own


def note(folder: Path, box: str, used: str) -> None:
    """Which one was taken last. Raises `OSError`."""
    if used != SHARED:
        (folder / MARK).unlink(missing_ok=True)
    elif (folder / own_of(box)).is_dir() and not (folder / MARK).exists():
        (folder / MARK).touch()


def seen(folder: Path, box: str = "") -> Json | None:
    """The newest metadata that were believed: versions, and the timestamp's digest; `own`: they are of the box's own
    repository. None: none yet, or damaged."""
    own = folder / own_of(box)
    mine = bool(box) and (own / "timestamp.json").exists() and not (folder / MARK).exists()
    try:
        data = ((own if mine else folder) / "timestamp.json").read_bytes()
        signed = json.loads(data)["signed"]
        versions = {"timestamp": signed["version"], "snapshot": signed["meta"]["snapshot.json"]["version"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {**versions, "sha256": sha256(data), **({"own": True} if mine else {})}


def updater_of(http: Http, folder: Path, url: str, root: bytes, repository: str | None = None) -> "Updater":
    """python-tuf's client workflow with our limits, from the built-in root on. Trusted metadata is kept in `folder`.
    `url` has the roots, and below it are the repositories; None: there is one, whatever its timestamp says."""
    from tuf.ngclient.config import UpdaterConfig
    from tuf.ngclient.updater import Updater

    config = UpdaterConfig(targets_max_length=MAX_METADATA, snapshot_max_length=MAX_METADATA)
    base = f"{url}/{repository}" if repository else url
    return Updater(str(folder), base, fetcher=_fetcher(http, url, repository), config=config, bootstrap=root)


def _check(data: bytes, repository: str) -> None:
    """Raises python-tuf's error for the timestamp of another repository. Who signed it is asked afterwards."""
    from tuf.api.exceptions import RepositoryError

    try:
        says = json.loads(data)["signed"].get(MEMBER, SHARED)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return  # python-tuf says what is wrong with it
    if says != repository:
        raise RepositoryError(f"timestamp.json is of {str(says)[:100] or 'all boxes'}, not of {repository or 'all'}")


def _fetcher(http: Http, url: str, repository: str | None) -> Any:
    """python-tuf's view of our own HTTP: same limits, no temporary files."""
    from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError
    from tuf.ngclient.fetcher import FetcherInterface

    class Fetcher(FetcherInterface):
        # A box's targets come by `offer.fetch`; through here comes what is small.
        def _fetch(self, url: str) -> Iterator[bytes]:
            yield self.download_bytes(url, MAX_METADATA)

        def download_bytes(self, asked: str, max_length: int) -> bytes:
            name = asked.rpartition("/")[2]
            try:
                data = http.get(f"{url}/{name}" if name.endswith(".root.json") else asked, max_length)[2]
            except NetError as error:
                if error.status in MISSING and repository and name == "timestamp.json":
                    raise NotHereError(asked) from error
                if error.status == 413:
                    raise DownloadLengthMismatchError(str(error)) from error
                if error.status:
                    raise DownloadHTTPError(str(error), error.status) from error
                raise DownloadError(str(error)) from error
            if repository is not None and name == "timestamp.json":
                _check(data, repository)
            return data

    return Fetcher()
