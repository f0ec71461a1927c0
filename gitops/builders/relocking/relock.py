"""Locks of a whole fleet repo moved forward: all that is newer, or some source packages alone.

In: a tree, its packages as they are locked, an `Apts`; where known, a locked file's control fields. Out: new locks, by
package. Rules:

- Bases go first, for a lock leaves out what its base holds.
- What does not move counts as installed, with all that it says of others (from the mirrors' lists, or from the file
  itself once it left them): so apt, which knows the rules, finds what the moving ones need, and that they break none.
- Wheels are named by version and stay, as do files by digest and other people's packages. A lock of which no mirror has
  anything newer stays as it is, to the letter.

    relocker = Relocker(Apts(state / "apt"), tree, packages)
    relocker.newest()["pkg/sshd"]               # as `toweros lock` would
    relocker.only(frozenset({"openssl"}))       # NeedsMoreError: it takes glibc, too
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from debian.debian_support import Version

from gitops.builders.apt import Apts, Relations, origin_of
from gitops.builders.lock import ESSENTIAL, installed_below
from gitops.errors import BuildError
from gitops.fleet.packages.lockfile import dump_lock
from gitops.fleet.packages.wanted import Wanted, parse_wanted
from gitops.model import LockedFile, Package, Tree, canonical, sha256

REBUILT = re.compile(r"\+b\d+$")
"""The end of the version of a package that was built again from the same source."""
Locks = dict[str, tuple[LockedFile, ...]]
Control = Callable[[LockedFile], Mapping[str, str] | None]
"""The control fields of a locked file that is at hand (`apt.related`); None: it is not."""


class NeedsMoreError(BuildError):
    """Some sources cannot move without others. `sources`: those; empty: apt does not say which."""

    def __init__(self, message: str, sources: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.sources = frozenset(sources)


def is_debian(file: LockedFile) -> bool:
    """Whether it is a package out of Debian's own mirrors."""
    return file.kind == "deb" and not file.elsewhere


class Relocker:
    """One fleet repo against one state of the mirrors."""

    def __init__(
        self, apts: Apts, tree: Tree, packages: Mapping[str, Package], control: Control = lambda _: None
    ) -> None:
        self._apts, self._tree, self._control = apts, tree, control
        self._packages = dict(packages)
        self._known: dict[frozenset[str], Locks | NeedsMoreError] = {}
        wanted = [path for path in packages if f"{path}/packages.in" in tree.entries()]
        self._order = [path for path in after_their_bases(self._packages, list(packages)) if path in wanted]

    @property
    def stamp(self) -> str:
        """The name of what the mirrors say now."""
        choices = sorted({self._wanted(path).components for path in self._order})
        return sha256(canonical([self._apts.of(components).stamp for components in choices]))

    @property
    def locks(self) -> Locks:
        """As they are."""
        return {path: self._packages[path].lock for path in self._order}

    def told(self, locks: Locks) -> Locks:
        """With the source of every file, which locks that are older than this rule do not say."""
        return {path: tuple(map(self._told, lock)) for path, lock in locks.items()}

    def source_of(self, file: LockedFile) -> str:
        """Its source package."""
        return file.source or self._sources.get(file.name, file.name)

    @cached_property
    def _newest(self) -> Locks:
        packages = dict(self._packages)
        for path in filter(self._has_news, self._order):
            files = self._resolve(packages, path, self._names(path), ())
            packages[path] = replace(packages[path], lock=_sorted(files, packages[path].lock))
        return {path: packages[path].lock for path in self._order}

    def newest(self) -> Locks:
        """Everything at its newest version.

        Raises:
            BuildError: the mirrors do not answer, or have no set that works.
        """
        return self._newest

    def only(self, sources: frozenset[str]) -> Locks:
        """The given sources at their newest versions, and nothing else moved. What was asked once costs nothing.

        Raises:
            NeedsMoreError: they cannot move alone.
        """
        if sources not in self._known:
            try:
                self._known[sources] = self._only(sources)
            except NeedsMoreError as error:
                self._known[sources] = error
        known = self._known[sources]
        if isinstance(known, NeedsMoreError):
            raise known
        return known

    def _only(self, sources: frozenset[str]) -> Locks:
        packages = dict(self._packages)
        for path in self._order:
            if any(is_debian(file) and self.source_of(file) in sources for file in packages[path].lock):
                files = self._move(packages, path, sources)
                packages[path] = replace(packages[path], lock=_sorted(files, packages[path].lock))
        return {path: packages[path].lock for path in self._order}

    def text(self, path: str, lock: Iterable[LockedFile]) -> bytes:
        """The packages.lock that has these files."""
        return dump_lock(self._tree.read(f"{path}/packages.in"), list(lock))

    def _move(self, packages: Mapping[str, Package], path: str, sources: frozenset[str]) -> list[LockedFile]:
        newest = {file.name for file in self._newest[path]}
        moves = {file.name for file in packages[path].lock if is_debian(file) and self.source_of(file) in sources}
        there = {file.name: file for file in packages[path].lock if is_debian(file)}
        # A kernel's package has its version in its name: what is in no new lock goes, unless what stays needs it.
        leaving = moves - newest
        names = [name for name in (*there, *self._names(path)) if name in moves or name not in {*there, ESSENTIAL}]
        names = [f"{name}-" if name in leaving else name for name in sorted(set(names))]
        try:
            new = self._resolve(packages, path, names, list(there.values()))
        except BuildError as error:
            raise NeedsMoreError(f"{path}: {error.message}") from error
        forced = {self.source_of(file) for file in new if file.name in there.keys() - moves}
        if forced:
            raise NeedsMoreError(f"{path}: it takes {', '.join(sorted(forced))} along", forced)
        rows = {**there, **{file.name: file for file in new}}
        return [file for name, file in rows.items() if name not in leaving]

    def _resolve(
        self, packages: Mapping[str, Package], path: str, names: Sequence[str], there: Sequence[LockedFile]
    ) -> list[LockedFile]:
        if not names:
            return []
        others = [file for file in packages[path].lock if file.kind == "deb" and file.elsewhere]
        stays = [*there, *others]
        keys = [(file.name, file.version) for file in stays]
        known = {key: self._relations[key] for key in keys if key in self._relations}
        wanted, below = self._wanted(path), installed_below(self._tree, packages, path)
        apt = self._apts.of(wanted.components)
        return apt.resolve(names, [*below, *stays], wanted.assumed, relations=known)

    @cached_property
    def _relations(self) -> Relations:
        """What every locked package says of others, as far as anybody knows."""
        files = {(file.name, file.version): file for lock in self.locks.values() for file in lock if file.kind == "deb"}
        known = dict(self._index)
        for key in files.keys() - known.keys():
            if (control := self._control(files[key])) is not None:
                known[key] = control
        return known

    @cached_property
    def _index(self) -> Relations:
        """Every version that the mirrors have of what is locked."""
        names: dict[tuple[str, ...], set[str]] = {}
        for path, lock in self.locks.items():
            names.setdefault(self._wanted(path).components, set()).update(file.name for file in lock if is_debian(file))
        found = [self._apts.of(components).relations(sorted(each)) for components, each in names.items()]
        return {key: said for each in found for key, said in each.items()}

    @cached_property
    def _sources(self) -> dict[str, str]:
        return {
            name: origin_of(name, version, said.get("Source", ""))[0] for (name, version), said in self._index.items()
        }

    def _told(self, file: LockedFile) -> LockedFile:
        """An old lock has no words for a source, nor for a package that was only built again (`+b1`)."""
        if not is_debian(file) or file.source:
            return file
        version = REBUILT.sub("", file.version)
        said = self._index.get((file.name, file.version), {}).get("Source", f"{self.source_of(file)} ({version})")
        source, own = origin_of(file.name, file.version, said)
        return file if (source, own) == (file.name, file.version) else replace(file, source=source, source_version=own)

    def _has_news(self, path: str) -> bool:
        """Whether a mirror has a newer version of something in a lock, or the lock lacks what is asked for."""
        there = {file.name: file.version for file in self._packages[path].lock if is_debian(file)}
        newer = any(Version(there[name]) < Version(version) for name, version in self._index if name in there)
        return newer or not there

    def _wanted(self, path: str) -> Wanted:
        return parse_wanted(self._tree.read(f"{path}/packages.in"), path, [])

    def _names(self, path: str) -> list[str]:
        wanted = self._wanted(path)
        return [*wanted.debs, *([ESSENTIAL] if wanted.rootfs in ("essential", "minbase") else [])]


def after_their_bases(known: Mapping[str, Package], wanted: Sequence[str]) -> list[str]:
    """A lock leaves out what the base holds, so the base is locked first."""
    order: list[str] = []

    def visit(path: str) -> None:
        if path in order or path not in known:
            return
        for sibling in known[path].depends:
            if sibling in wanted:
                visit(sibling)
        order.append(path)

    for path in wanted:
        visit(path)
    return order


def _sorted(debs: Iterable[LockedFile], before: Iterable[LockedFile]) -> tuple[LockedFile, ...]:
    """With what is not Debian's, which stays; in the order of a lock's lines."""
    files = [*debs, *(file for file in before if not is_debian(file))]
    return tuple(sorted(files, key=lambda file: (file.kind, file.name, file.version)))
