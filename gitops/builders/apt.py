"""A private apt: resolves names to exact Debian packages without touching this machine's own state.

In: what is wanted and what is there already. Out: every package that must be added, by version, SHA-256 and place.
"""

import contextlib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from debian.deb822 import Packages

from gitops.builders.mirrors import mirrors
from gitops.errors import BuildError, ProcessError
from gitops.fleet.packages.wanted import MAIN
from gitops.model import LockedFile, canonical, sha256
from gitops.process import run

_INSTALL = re.compile(r"^Inst (\S+) (?:\[[^\]]*\] )?\((\S+)", re.MULTILINE)
_MISSING = re.compile(r"Unable to locate package (\S+)|Package '?(\S+?)'? has no installation candidate")
_UNMET = "The following packages have unmet dependencies:"
_NEEDED = ("Package", "Version", "SHA256", "Size", "Filename")
_REMOVE = re.compile(r"^Remv (\S+)", re.MULTILINE)
RELATIONS = ("Source", "Multi-Arch", "Pre-Depends", "Depends", "Breaks", "Conflicts", "Replaces", "Provides")
"""What a package that stays says of others, and its source (deb-control(5))."""
Relations = Mapping[tuple[str, str], Mapping[str, str]]
"""(name, version) -> the fields of `RELATIONS` that it has."""
UPDATE = 300.0
"""Seconds that the mirrors have for their lists."""
ASSUMED = "99:0"
"""The version of a package that is only assumed to be there: newer than any."""


class UnknownPackageError(BuildError):
    """Debian has no package `name`."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Debian has no package `{name}`")
        self.name = name


class Apt:
    """apt in a folder of its own. `update` once, then `resolve` as often as wanted."""

    def __init__(self, folder: Path, sources: Sequence[str]) -> None:
        self._folder = folder = folder.absolute()  # apt takes a relative one as below /etc/apt
        for name in ("state/lists/partial", "cache/archives/partial", "etc"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "etc/sources.list").write_text("\n".join(sources) + "\n")
        (folder / "etc/preferences").write_text("")

    @classmethod
    def of_mirrors(cls, folder: Path, components: Sequence[str]) -> "Apt":
        """One that knows Debian, as this machine's mirrors have it."""
        return cls(folder, [mirror.source(components) for mirror in mirrors()])

    def update(self, of: str = "the Debian mirrors", hint: str = "check apt's sources", timeout: float = 600.0) -> None:
        """Fetch the lists of packages, within `timeout` seconds.

        Raises:
            BuildError: nobody answers, or not as it must.
        """
        (self._folder / "status").write_text("")
        try:
            self._run("apt-get", "update", timeout=timeout)
        except ProcessError as error:
            raise BuildError(f"{of} cannot be read: {error.message}", hint=hint) from error

    @property
    def stamp(self) -> str:
        """The name of what the mirrors' signed lists say; another one as soon as one of them changes."""
        lists = sorted((self._folder / "state/lists").glob("*Release"))
        return sha256(canonical([[path.name, sha256(path.read_bytes())] for path in lists]))

    def relations(self, names: Sequence[str]) -> Relations:
        """What every version in the lists says of other packages; names that nobody knows are left out."""
        try:
            output = self._run("apt-cache", "show", *names).decode() if names else ""
        except ProcessError as error:  # one of them is unknown; the others are there
            output = error.log
        found = Packages.iter_paragraphs(output, use_apt_pkg=False)
        known = [each for each in found if {"Package", "Version", "SHA256"} <= each.keys()]
        return {(each["Package"], each["Version"]): related(each) for each in known}

    def newest(self, names: Iterable[str]) -> list[Packages]:
        """What the indexes say of the newest of each name; those that they do not have are left out."""
        found = []
        for name in names:
            with contextlib.suppress(ProcessError):  # `apt-cache show` fails when there is none of a name
                output = self._run("apt-cache", "show", "--no-all-versions", name).decode(errors="replace")
                every = Packages.iter_paragraphs(output, use_apt_pkg=False)
                found += [each for each in every if each.get("Package") == name]
        return found

    def resolve(
        self,
        wanted: Sequence[str],
        installed: Iterable[LockedFile],
        assumed: Iterable[str],
        extra: Mapping[str, str] | None = None,
        relations: Relations | None = None,
    ) -> list[LockedFile]:
        """Everything that must be added so that `wanted` work (`NAME-`: it goes). What is installed wants nothing, but
        for `relations`.

        `extra` (name -> stanza of an index) comes from
        elsewhere: it is there beside what the mirrors have, whose packages of these names are not; it is resolved
        with the others and not in what is returned.

        Raises:
            UnknownPackageError: Debian has none of this name. BuildError: a name cannot be had together with the rest.
        """
        there = [(file.name, file.version) for file in installed] + [(name, ASSUMED) for name in assumed]
        known = relations or {}
        stanzas = (_stanza(*each, known.get(each, {"Multi-Arch": "foreign"})) for each in there)
        (self._folder / "status").write_text("".join(stanzas))
        beside = self._beside(extra or {})
        try:
            output = self._run("apt-get", *beside, "install", "--simulate", "--no-install-recommends", *wanted).decode()
        except ProcessError as error:
            missing = _MISSING.search(error.log)  # apt has neither exit codes nor a status file to tell this by
            if missing:
                raise UnknownPackageError(next(filter(None, missing.groups()))) from error
            raise BuildError("\n".join([error.message, *_unmet(error.log)])) from error
        leaving = {name.removesuffix("-") for name in wanted}
        if removed := [name for name in _REMOVE.findall(output) if name not in leaving]:
            raise BuildError(f"{', '.join(wanted)} cannot be had without removing {', '.join(removed)}")
        # `--simulate` prints `Inst NAME [OLD] (NEW SUITE ...)` for each package.
        found = [(name, version) for name, version in _INSTALL.findall(output) if name not in (extra or {})]
        return self._describe([f"{name}={version}" for name, version in found]) if found else []

    def _beside(self, extra: Mapping[str, str]) -> list[str]:
        """Options with which apt sees `extra` in place of what has these names (apt_preferences(5): a priority below
        zero). Such a file says of no release that it is from one, so the pin does not hold for it."""
        pins = "\n".join(f"Package: {name}\nPin: release n=*\nPin-Priority: -1\n" for name in extra)
        (self._folder / "etc/preferences").write_text(pins)
        index = self._folder / "etc/Packages"
        index.write_text("\n".join(extra.values()))
        return ["--with-source", str(index)] if extra else []

    def _describe(self, chosen: Sequence[str]) -> list[LockedFile]:
        output = self._run("apt-cache", "show", "--no-all-versions", *chosen).decode()
        found = {each["Package"]: locked(each) for each in Packages.iter_paragraphs(output, use_apt_pkg=False)}
        if bare := [name for name, file in found.items() if file is None]:
            raise BuildError(f"the mirrors' index has no digest, size or place of {', '.join(bare)}")
        return [file for file in found.values() if file]

    def _run(self, program: str, *arguments: str, timeout: float = 600.0) -> bytes:
        places = {
            "Dir::State": self._folder / "state",
            "Dir::State::status": self._folder / "status",
            "Dir::Cache": self._folder / "cache",
            "Dir::Etc::sourcelist": self._folder / "etc/sources.list",
            "Dir::Etc::sourceparts": "-",
            "Dir::Etc::preferences": self._folder / "etc/preferences",
            "Dir::Etc::preferencesparts": "-",
            # Whatever the host allows: no index that is not signed or has run out, and none of yesterday instead.
            "Acquire::Check-Date": "true",
            "Acquire::Check-Valid-Until": "true",
            "Acquire::AllowInsecureRepositories": "false",
            "APT::Update::Error-Mode": "any",
            # Whatever the host allows, too: without them each question costs seconds.
            "Dir::Cache::pkgcache": "pkgcache.bin",
            "Dir::Cache::srcpkgcache": "srcpkgcache.bin",
            "Acquire::GzipIndexes": "false",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "APT::Get::Assume-Yes": "true",
            "Debug::NoLocking": "true",
        }
        options = [word for name, value in places.items() for word in ("-o", f"{name}={value}")]
        return run([program, *options, *arguments], timeout=timeout)


class Apts:
    """One apt for each choice of components, below one folder: who asks for `main` sees nothing else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[tuple[str, ...], Apt] = {}

    def of(self, components: tuple[str, ...]) -> Apt:
        """With the mirrors' lists as they are now.

        Raises:
            BuildError: no mirror answers, or one of them has a list that nobody vouches for.
        """
        if components not in self._made:
            others = "".join(f"-{name}" for name in components if name != MAIN)
            apt = Apt.of_mirrors(self._folder.with_name(self._folder.name + others), components)
            apt.update(timeout=UPDATE)
            self._made[components] = apt
        return self._made[components]


def _unmet(talk: str) -> list[str]:
    """What apt says of packages that cannot be had together, which it puts in front of its last line."""
    _, found, rest = talk.partition(_UNMET)
    lines = rest.splitlines()[1:] if found else []
    return list(itertools.takewhile(lambda line: line.startswith(" "), lines))


def locked(each: Packages) -> LockedFile | None:
    """A paragraph of an index; None when it lacks what a lock must have. `Source: NAME (VERSION)` stands there when one
    of both is not the package's (Debian policy 5.6.1)."""
    if not all(each.get(field) for field in _NEEDED) or not each["Size"].isdecimal():
        return None
    name, version = each["Package"], each["Version"]
    origin = origin_of(name, version, each.get("Source", ""))
    place = (each["SHA256"], int(each["Size"]), each["Filename"])
    return LockedFile("deb", name, version, *place, *(origin if origin != (name, version) else ()))


def origin_of(name: str, version: str, words: str) -> tuple[str, str]:
    """The source of a package and its version, out of the field `Source`."""
    source, _, other = words.partition(" ")
    return source or name, other.strip("()") or version


def related(control: Mapping[str, str]) -> dict[str, str]:
    """The fields of a control file that speak of other packages."""
    return {name: " ".join(control[name].split()) for name in RELATIONS if name in control}


def _stanza(name: str, version: str, relations: Mapping[str, str]) -> str:
    """An entry of dpkg's status file: installed."""
    fields = {"Package": name, "Status": "install ok installed", "Version": version, "Architecture": "amd64"}
    fields |= {**relations, "Maintainer": "-", "Description": "-"}
    return "".join(f"{key}: {value}\n" for key, value in fields.items()) + "\n"
