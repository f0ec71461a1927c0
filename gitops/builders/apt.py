"""A private apt: resolves names to exact Debian packages without touching this machine's own state.

In: what is wanted and what is there already. Out: every package that must be added, by version, SHA-256 and place.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from debian.deb822 import Packages

from gitops.builders.mirrors import mirrors
from gitops.errors import BuildError, ProcessError
from gitops.model import LockedFile
from gitops.process import run

_INSTALL = re.compile(r"^Inst (\S+) (?:\[[^\]]*\] )?\((\S+)", re.MULTILINE)
_MISSING = re.compile(r"Unable to locate package (\S+)|Package '?(\S+?)'? has no installation candidate")
_UNMET = "The following packages have unmet dependencies:"
ASSUMED = "99:0"
"""The version of a package that is only assumed to be there: newer than any."""


class UnknownPackageError(BuildError):
    """Debian has no package `name`."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Debian has no package `{name}`")
        self.name = name


class Apt:
    """apt in a folder of its own. `update` once, then `resolve` as often as wanted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("state/lists/partial", "cache/archives/partial", "etc"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "etc/sources.list").write_text("\n".join(mirror.source for mirror in mirrors()) + "\n")

    def update(self) -> None:
        """Fetch the lists of packages.

        Raises:
            BuildError: no mirror answers.
        """
        (self._folder / "status").write_text("")
        try:
            self._run("apt-get", "update")
        except ProcessError as error:
            raise BuildError(
                f"the Debian mirrors cannot be read: {error.message}", hint="check apt's sources"
            ) from error

    def resolve(
        self, wanted: Sequence[str], installed: Iterable[LockedFile], assumed: Iterable[str]
    ) -> list[LockedFile]:
        """Everything that must be added so that `wanted` work.

        Raises:
            UnknownPackageError: Debian has none of this name. BuildError: a name cannot be had together with the rest.
        """
        there = [(file.name, file.version) for file in installed] + [(name, ASSUMED) for name in assumed]
        (self._folder / "status").write_text("".join(_stanza(name, version) for name, version in there))
        try:
            output = self._run("apt-get", "install", "--simulate", "--no-install-recommends", *wanted).decode()
        except ProcessError as error:
            missing = _MISSING.search(error.log)  # apt has neither exit codes nor a status file to tell this by
            if missing:
                raise UnknownPackageError(next(filter(None, missing.groups()))) from error
            raise BuildError("\n".join([error.message, *_unmet(error.log)])) from error
        # `--simulate` prints `Inst NAME [OLD] (NEW SUITE ...)` for each package.
        chosen = [f"{name}={version}" for name, version in _INSTALL.findall(output)]
        return self._describe(chosen) if chosen else []

    def _describe(self, chosen: Sequence[str]) -> list[LockedFile]:
        output = self._run("apt-cache", "show", "--no-all-versions", *chosen).decode()
        return [_locked(each) for each in Packages.iter_paragraphs(output, use_apt_pkg=False)]

    def _run(self, program: str, *arguments: str) -> bytes:
        places = {
            "Dir::State": self._folder / "state",
            "Dir::State::status": self._folder / "status",
            "Dir::Cache": self._folder / "cache",
            "Dir::Etc::sourcelist": self._folder / "etc/sources.list",
            "Dir::Etc::sourceparts": "-",
            "Dir::Etc::preferencesparts": "-",
            # Whatever the host allows: no index that is not signed or has run out, and none of yesterday instead.
            "Acquire::Check-Date": "true",
            "Acquire::Check-Valid-Until": "true",
            "Acquire::AllowInsecureRepositories": "false",
            "APT::Update::Error-Mode": "any",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "APT::Get::Assume-Yes": "true",
            "Debug::NoLocking": "true",
        }
        options = [word for name, value in places.items() for word in ("-o", f"{name}={value}")]
        return run([program, *options, *arguments])


def _unmet(talk: str) -> list[str]:
    """What apt says of packages that cannot be had together, which it puts in front of its last line."""
    _, found, rest = talk.partition(_UNMET)
    lines = rest.splitlines()[1:] if found else []
    return list(itertools.takewhile(lambda line: line.startswith(" "), lines))


def _locked(each: Packages) -> LockedFile:
    """A paragraph of an index. `Source: NAME (VERSION)` stands there when one of both is not the package's (Debian
    policy 5.6.1)."""
    name, version = each["Package"], each["Version"]
    source, _, other = each.get("Source", "").partition(" ")
    origin = (source or name, other.strip("()") or version)
    place = (each["SHA256"], int(each["Size"]), each["Filename"])
    return LockedFile("deb", name, version, *place, *(origin if origin != (name, version) else ()))


def _stanza(name: str, version: str) -> str:
    """An entry of dpkg's status file: installed, and wanting nothing more."""
    return (
        f"Package: {name}\nStatus: install ok installed\nVersion: {version}\nArchitecture: amd64\n"
        f"Multi-Arch: foreign\nMaintainer: -\nDescription: -\n\n"
    )
