"""python-tuf's client on the repositories of a source (ADR 108).

In: a source, the root that was given by hand, which repository. Out: its newest metadata, believed, in a folder. Rules:
a small repository is believed if its timestamp says which one it is, the shared one if it says nothing; the roots are
those of all, and are asked for once in a look.

    with looking(folder, root, source) as look:
        updater = look.refreshed("boxes/site-7")        # NotHereError: there is none
        look.files("boxes/site-7")                      # as a server has them
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, RepositoryError
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from gitops.errors import TowerosError
from gitops.model.paths.repositories import MEMBER
from gitops.noc.origin import OriginError, Source

MAX_METADATA = 4 << 20
SHARED = ""
"""The repository of all boxes."""
WRONG = (RepositoryError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What damaged metadata end in."""


class TrustError(TowerosError):
    """What is signed is refused: older, expired, mixed, damaged, or of another root."""


class NotHereError(Exception):
    """The source has no such repository."""


class Look:
    """One look at a source; what is believed stays in `folder`."""

    def __init__(self, folder: Path, root: bytes, source: Source) -> None:
        self._folder, self._root, self._source = folder, root, source
        self._roots = dict[str, bytes | DownloadError]()

    def refreshed(self, repository: str) -> Updater:
        """Its newest metadata. Raises NotHereError; python-tuf's errors, or OriginError."""
        place = self.place(repository)
        place.mkdir(parents=True, exist_ok=True)
        history = self._folder / "root_history"
        history.mkdir(exist_ok=True)
        if repository != SHARED and not (place / "root_history").exists():
            (place / "root_history").symlink_to("../../root_history")
        config = UpdaterConfig(targets_max_length=MAX_METADATA, snapshot_max_length=MAX_METADATA)
        base, fetcher = f"/{repository}", _Fetcher(self._source, repository, self._roots)
        updater = Updater(str(place), base, fetcher=fetcher, config=config, bootstrap=self._root)
        updater.refresh()
        return updater

    def place(self, repository: str) -> Path:
        return self._folder / repository

    def role(self, repository: str, role: str) -> bytes:
        """What is believed of a role."""
        return (self.place(repository) / f"{role}.json").read_bytes()

    def roots(self) -> Iterator[tuple[str, bytes]]:
        """Every root that is believed, the oldest first."""
        paths = (self._folder / "root_history").glob("[0-9]*.root.json")
        for path in sorted(paths, key=lambda each: int(each.name.partition(".")[0])):
            yield path.name, path.read_bytes()

    def files(self, repository: str, *roles: str) -> Iterator[tuple[str, bytes]]:
        """As a server has them; what others lead to comes first, the timestamp last."""
        below = f"{repository}/" if repository else ""
        for role in (*roles, "targets", "snapshot"):
            data = self.role(repository, role)
            yield f"{below}{json.loads(data)['signed']['version']}.{role}.json", data
        yield f"{below}timestamp.json", self.role(repository, "timestamp")


@contextmanager
def looking(folder: Path, root: bytes, source: Source) -> Iterator[Look]:
    """Raises TrustError: it is refused. OriginError: it cannot be fetched."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield Look(folder, root, source)
    except DownloadError as error:
        raise error.__cause__ if isinstance(error.__cause__, OriginError) else OriginError(str(error)) from error
    except WRONG as error:
        raise TrustError(f"what is signed is refused: {type(error).__name__}: {error}") from error


class _Fetcher(FetcherInterface):
    """python-tuf's view of a source: same limits, no temporary files."""

    def __init__(self, source: Source, repository: str, roots: dict[str, bytes | DownloadError]) -> None:
        self._source, self._repository, self._roots = source, repository, roots

    def _fetch(self, url: str) -> Iterator[bytes]:
        yield self.download_bytes(url, MAX_METADATA)

    def download_bytes(self, url: str, max_length: int) -> bytes:
        name = url.rpartition("/")[2]
        if name.endswith(".root.json"):
            return self._root(name, max_length)
        data = self._bytes(url.lstrip("/"), max_length)
        if name == "timestamp.json":
            self._check(data)
        return data

    def _root(self, name: str, most: int) -> bytes:
        if name not in self._roots:
            try:
                self._roots[name] = self._bytes(name, most)
            except DownloadHTTPError as error:
                self._roots[name] = error
        if isinstance(found := self._roots[name], DownloadError):
            raise found
        return found

    def _check(self, data: bytes) -> None:
        says = json.loads(data)["signed"].get(MEMBER, SHARED)
        if says != self._repository:
            raise RepositoryError(f"the timestamp of {self._repository or 'all boxes'} is of {str(says)[:100]!r}")

    def _bytes(self, name: str, most: int) -> bytes:
        try:
            return self._source.get(f"metadata/{name}", most)
        except OriginError as error:
            if error.missing and name.endswith("timestamp.json") and self._repository != SHARED:
                raise NotHereError(self._repository) from error
            if error.missing:
                raise DownloadHTTPError(error.message, 404) from error
            if error.large:
                raise DownloadLengthMismatchError(error.message) from error
            raise DownloadError(error.message) from error
