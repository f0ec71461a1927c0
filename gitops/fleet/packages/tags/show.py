"""The word that `linuxkit pkg show-tag` prints for a folder (pkglib of 2026-03).

In: folders, and what the command line says. Out: for each its word, or the mistake. Rules: ORG/IMAGE:TAG; TAG is `tag:`
filled in with the hash: the tree that is committed, SHA-1 over that and the trees of `extra-sources`, and
`-dirty-` with seven digits of the files' own hash where the folder differs from HEAD. Outside of Git there is no hash,
and an empty tag is `latest`. One folder's mistake keeps no other back.

    show([Path("pkg/sshd")], Asked())      # [Shown(folder, "linuxkit/sshd:4696ba61c3...")]
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gitops.errors import SourceError, TowerosError
from gitops.files.named import named
from gitops.fleet.packages.tags.buildfile import BuildFile
from gitops.fleet.packages.tags.repository import HEAD, Repositories, content
from gitops.fleet.packages.tags.template import HINT, TemplateError, fill

DIRTY_DIGITS = 7
MAX_BUILD_FILE = 1 << 20
"""Bytes of a build.yml."""


@dataclass(frozen=True)
class Asked:
    """LinuxKit's own flags. `org`: None, as build.yml says. `path`: a folder around it, to hash in its place."""

    build_yml: str = "build.yml"
    org: str | None = None
    tag: str = ""
    hash: str = ""
    commit: str = HEAD
    path: str = ""
    dirty: bool = False
    dev: bool = False
    canonical: bool = False


@dataclass(frozen=True)
class Shown:
    """A folder as it was named, and its word, or why there is none. `outside`: no Git knows it."""

    folder: str
    word: str = ""
    mistake: TowerosError | None = None
    outside: bool = False


def show(folders: Sequence[str], asked: Asked, start: Path) -> list[Shown]:
    """One answer for each folder, in the order of asking; relative paths begin at `start`."""
    places = [_absolute(start / folder) for folder in folders]
    over = _absolute(start / asked.path) if asked.path else None
    repositories = Repositories(asked.commit, [over or place for place in places])
    tagger = _Tagger(asked, over, repositories)
    return [tagger.shown(folder, place) for folder, place in zip(folders, places, strict=True)]


class _Tagger:
    def __init__(self, asked: Asked, over: Path | None, repositories: Repositories) -> None:
        self._asked, self._over, self._repositories = asked, over, repositories

    def shown(self, folder: str, place: Path) -> Shown:
        try:
            word, outside = self._word(folder, place)
        except TowerosError as error:
            return Shown(folder, mistake=error)
        return Shown(folder, canonical(word) if self._asked.canonical else word, outside=outside)

    def _word(self, folder: str, place: Path) -> tuple[str, bool]:
        asked = self._asked
        if self._over and not str(place).startswith(str(self._over)):
            raise SourceError(f"{folder} is not below {asked.path}", hint="`--hash-path` names a folder around it")
        name = asked.build_yml.lstrip("/")
        build = BuildFile.parse(_read(place / name), str(Path(folder, name)))
        org = build.org
        if asked.dev:
            org = os.environ.get("USER", "")
        if asked.org is not None:
            org = asked.org
        digest, outside = self._hash(place, build)
        try:
            tag = fill(asked.tag or build.tag, digest)
        except TemplateError as error:
            raise build.mistake("tag", str(error), HINT) from error
        return f"{org}/{build.image}:{tag or 'latest'}", outside

    def _hash(self, place: Path, build: BuildFile) -> tuple[str, bool]:
        """The hash, and whether the folder lies outside of Git. All that LinuxKit looks at is looked at, also where
        `--hash` takes its place."""
        given = self._asked.hash or ("dev" if self._asked.dev else "")
        sources = "".join(self._source(place, build, source) for source in build.extra_sources)
        repository = self._repositories.of(place)
        if repository is None or given:
            return given, repository is None
        hashed = self._over or place
        digest = repository.tree(hashed)
        if sources:
            digest = hashlib.sha1((digest + sources).encode(), usedforsecurity=False).hexdigest()
        if self._asked.dirty or repository.dirty(hashed):
            digest += f"-dirty-{content(place)[:DIRTY_DIGITS]}"
        return digest, False

    def _source(self, place: Path, build: BuildFile, source: str) -> str:
        """The tree of a folder beside the package."""
        parts = source.split(":")
        if len(parts) != 2:
            raise build.mistake("extra-sources", f"`{source}` is no SOURCE:DESTINATION", "write ../folder:/path")
        folder = Path(os.path.normpath(place / parts[0]))
        repository = self._repositories.of(folder) if folder.is_dir() else None
        if repository is None:
            hint = "name a folder that is committed"
            raise build.mistake("extra-sources", f"`{parts[0]}` is no folder of a Git repository", hint)
        return repository.tree(folder)


def canonical(word: str) -> str:
    """A name with its host, as Docker completes it: `a/b` is `docker.io/a/b`, `b` is `docker.io/library/b`."""
    first, *rest = word.split("/")
    if not rest:
        return f"docker.io/library/{word}"
    hub = len(rest) == 1 and first != "localhost" and "." not in first and ":" not in first
    return f"docker.io/{word}" if hub else word


def _absolute(path: Path) -> Path:
    """As it was named: links stay, for what they are is what Git knows of them."""
    return Path(os.path.normpath(Path.cwd() / path))


def _read(path: Path) -> bytes:
    try:
        return named(path, MAX_BUILD_FILE)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise SourceError(f"{path} cannot be read: {why}", hint="name a package's folder") from error
