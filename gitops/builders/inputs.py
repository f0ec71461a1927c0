"""Locked files come into the store: from there when they were used before, else from the first place that has them.

In: packages' locks, and the places. Out: every file in `store.blobs`. Rules: a file is taken only with the SHA-256 that
the lock says, wherever it comes from; a few at a time; what was fetched before a stop need not be fetched again; a
place that does not answer is not asked again in the same run; all that is missing is said at once.
"""

import enum
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from gitops.builders.files.download import Answer, Patience, download
from gitops.builders.lock import fetch_wheel
from gitops.builders.places import Mirrors, Places
from gitops.errors import BuildError
from gitops.fleet.packages.lockfile import fetched
from gitops.fleet.packages.wanted import Fetch
from gitops.model import FETCHED, LockedFile, Package
from gitops.store import Store
from gitops.store.files.blobs import digest_file
from gitops.store.files.layout import Scratch

log = structlog.get_logger(__name__)

PARALLEL = 4
GIVEN_UP = 3
"""So many files that a place did not answer for, and it is not asked for another."""
SHOWN = 20
"""How many files a message names; a line says how many more there are."""


class Why(enum.StrEnum):
    """Why a locked file could not be had."""

    gone = "no place has it"
    other = "other bytes than the lock says"
    away = "a place that may have it does not answer"


LARGEST = 2 << 30
"""Bytes of a file whose size nobody knows yet."""
_WORDS = {Why.other: f"other bytes than packages.in says, or more than {LARGEST >> 30} GiB"}
_HINTS = {
    Why.gone: "is the address right? It may also be in an `inputs` mirror, by its digest",
    Why.other: "compare with the digest that its maker publishes; do not simply take the new one",
    Why.away: "try again later, or name another place that has it: `inputs` in docs/settings.md",
}


@dataclass(frozen=True)
class Missing:
    """One locked file of one package that no place gave."""

    package: str
    file: LockedFile
    why: Why


class MissingInputsError(BuildError):
    """Locked files that no place has; all of them are in `missing`."""

    def __init__(self, missing: Sequence[Missing], trouble: str = "") -> None:
        """`trouble`: why this machine's own mirrors were not asked."""
        self.missing = tuple(missing)
        more = [f"  and {len(missing) - SHOWN} more"] if len(missing) > SHOWN else []
        more += [f"  {trouble}"] if trouble else []
        rows = [f"  {each.package}: {each.file.filename}: {each.why}" for each in missing[:SHOWN]]
        number = "1 locked file" if len(missing) == 1 else f"{len(missing)} locked files"
        super().__init__("\n".join([f"{number} cannot be had", *rows, *more]), hint=self._hint())

    @property
    def packages(self) -> tuple[str, ...]:
        """Those to lock again. To do so is of no use for a file that was asked for by its digest."""
        return tuple(dict.fromkeys(each.package for each in self.missing if each.file.kind != FETCHED))

    @property
    def gone(self) -> bool:
        """Whether to wait is of no use: no place that was away could have one of them."""
        return all(each.why is not Why.away for each in self.missing)

    def _hint(self) -> str:
        names = " ".join(self.packages)
        if not self.gone:
            return "try again later, or name another place: `snapshot` or `inputs` in docs/settings.md"
        if not names:
            return "write an address that has it into packages.in, or name a place that has it: `inputs`"
        return f"run `toweros lock {names}` and commit, or name a place that has them: `snapshot` or `inputs`"


def fetch_inputs(store: Store, package: Package, places: Places | None = None) -> None:
    """Bring every locked file of a package into the store. See `fetch_all`."""
    fetch_all(store, [package], places)


def fetch_wanted(store: Store, wanted: Fetch, places: Places, patience: Patience | None = None) -> int:
    """Bring a file into the store by its digest alone, from wherever it is; how many bytes it has.

    Raises:
        BuildError: no place has it.
    """
    file = fetched(wanted, LARGEST)
    if not store.blobs.has(file.sha256):
        why = Fetcher(store, places, patience or Patience(pace=LARGEST >> 11)).fetch(file)
        if why is not None:
            raise BuildError(f"`{wanted.name}` cannot be had: {_WORDS.get(why, why)}", hint=_HINTS[why])
    return store.blobs.path(file.sha256).stat().st_size


def fetch_all(
    store: Store, packages: Iterable[Package], places: Places | None = None, patience: Patience | None = None
) -> None:
    """Bring every locked file of some packages into the store; all are tried before anything is said.

    Raises:
        MissingInputsError: files that no place has as the lock says.
    """
    asked = [(package.path, file) for package in packages for file in package.lock]
    wanted = {file.sha256: file for _, file in asked if not store.blobs.has(file.sha256)}
    if not wanted:
        return
    log.info("inputs.fetch", files=len(wanted), bytes=sum(file.size for file in wanted.values()))
    fetcher = Fetcher(store, places or Places(), patience or Patience())
    with ThreadPoolExecutor(PARALLEL) as pool:
        whys = dict(zip(wanted, pool.map(fetcher.fetch, wanted.values()), strict=True))
    missing = [Missing(path, file, why) for path, file in asked if (why := whys.get(file.sha256))]
    if missing:
        raise MissingInputsError(missing, fetcher.trouble)


class Fetcher:
    """One run over the places. Several threads may use it."""

    def __init__(self, store: Store, places: Places, patience: Patience) -> None:
        self._mirrors = Mirrors(places.mirrors)
        self._store, self._places, self._patience = store, replace(places, mirrors=self._mirrors), patience
        self._away = Counter[str]()

    @property
    def trouble(self) -> str:
        """Why this machine's own mirrors were not asked."""
        return self._mirrors.trouble

    def fetch(self, file: LockedFile) -> Why | None:
        """Why a file is not in the store now; None when it is."""
        with self._store.paths.scratch(Scratch.fetch) as folder:
            index = self._of_the_index(file, Path(folder, "wheel")) if file.kind == "wheel" else None
            if index is not Answer.had:
                return self._of_the_places(file, Path(folder, "file"), index)
        return None

    def _of_the_index(self, file: LockedFile, folder: Path) -> Answer:
        folder.mkdir()
        try:
            fetch_wheel(f"{file.name}=={file.version}", folder)
        except BuildError:
            return Answer.absent  # pip says in words alone whether it is the index or the wheel that is missing
        found = folder / file.filename
        return self._take(file, found) if found.is_file() else Answer.other

    def _of_the_places(self, file: LockedFile, target: Path, before: Answer | None) -> Why | None:
        answers = {before} if before else set()
        for place in self._places.of(file):
            if self._away[place.server] >= GIVEN_UP:
                answers.add(Answer.away)
                continue
            answer = download(place, file, target, self._patience)
            if answer is Answer.had and self._take(file, target) is Answer.had:
                return None
            if answer is Answer.away:
                self._away[place.server] += 1
            log.debug("inputs.not_here", file=file.filename, place=place.server, answer=answer.name)
            answers.add(answer)
        if self.trouble and file.kind == "deb" and not file.elsewhere:
            answers.add(Answer.away)
        return Why.away if Answer.away in answers else Why.other if Answer.other in answers else Why.gone

    def _take(self, file: LockedFile, path: Path) -> Answer:
        if digest_file(path).sha256 != file.sha256:
            return Answer.other
        self._store.blobs.put_file(path, move=True)
        return Answer.had
