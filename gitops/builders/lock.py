"""`toweros lock`: packages.in becomes packages.lock, every input by version and digest.

In: a package's folder and those that it stands on. Out: the bytes of its packages.lock. Rules: an image's final base is
taken as installed, so that a lock names only what its own layer adds; build stages do not count. Of somebody's
repository only what packages.in names from it is seen; a file that was asked for by digest never moves.

    locker = Locker(state / "apt", fetch)
    data = locker.lock(tree, packages, "pkg/sshd")
"""

import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gitops.builders.apt import Apts, UnknownPackageError
from gitops.builders.sources import Offer, Sources
from gitops.errors import BuildError, FleetError, Problem, ProcessError
from gitops.fleet.packages import SIBLING
from gitops.fleet.packages.lockfile import dump_lock, fetched
from gitops.fleet.packages.wanted import MAIN, WHEEL, Fetch, Wanted, parse_wanted
from gitops.model import FETCHED, LockedFile, Package, Tree
from gitops.process import run
from gitops.store.files.blobs import digest_file

PYTHON = "3.13"
"""Debian 13's Python, for which wheels are chosen."""
PLATFORMS = ("manylinux_2_17", "manylinux2014", "manylinux_2_28", "manylinux_2_34")
ESSENTIAL = "?essential"
COMPONENTS_HINT = "see `apt-cache search`; firmware is in another component: `components non-free-firmware`"


class Locker:
    """Resolves any number of packages against one state of the mirrors."""

    def __init__(self, folder: Path, fetch: Callable[[Fetch], int]) -> None:
        """`fetch` brings a file by its digest, and says how many bytes it has."""
        self._apts, self._fetch = Apts(folder), fetch
        self._sources = Sources(folder)

    def lock(self, tree: Tree, packages: Mapping[str, Package], path: str) -> bytes:
        """The packages.lock of one package. The packages that it stands on must be locked already.

        Raises:
            FleetError: packages.in has mistakes. BuildError: a name is unknown, or a mirror or index is away.
        """
        file = f"{path}/packages.in"
        problems: list[Problem] = []
        asked = tree.read(file)
        wanted = parse_wanted(asked, file, problems)
        if problems:
            raise FleetError(problems)
        files = [fetch_wheel(wheel) for wheel in wanted.wheels]
        files += [self._fetched(each, packages[path].lock, wanted, file) for each in wanted.fetches]
        installed = installed_below(tree, packages, path)
        offers = self._offers(tree, wanted, file)
        _refuse_hidden(offers, installed, wanted, file)
        files += [each.file for each in offers if each.file not in installed]
        if wanted.debs or wanted.rootfs or offers:
            files += self._debs(wanted, installed, offers, file)
        return dump_lock(asked, files)

    def _debs(
        self, wanted: Wanted, installed: list[LockedFile], offers: Sequence[Offer], file: str
    ) -> list[LockedFile]:
        extra = {each.file.name: each.stanza for each in offers}
        names = [*wanted.debs, *extra, *([ESSENTIAL] if wanted.rootfs in ("essential", "minbase") else [])]
        try:
            return self._apts.of(wanted.components).resolve(names, installed, wanted.assumed, extra)
        except BuildError as error:
            unknown = error.name if isinstance(error, UnknownPackageError) else ""
            hint = "see `apt-cache search`" if wanted.components != (MAIN,) else COMPONENTS_HINT
            if offers:
                hint = "what it needs of a source is named too: `deb NAME@SOURCE`"
            raise FleetError([Problem(file, wanted.line(unknown), 1, error.message, hint)]) from error

    def _offers(self, tree: Tree, wanted: Wanted, file: str) -> list[Offer]:
        """What the sources have of what is named from them."""
        offers, problems = [], list[Problem]()
        for source in wanted.sources:
            line, names = wanted.line(source.name), [name for name, place in wanted.extra if place == source.name]
            if source.key not in tree.entries():
                problems.append(
                    Problem(file, line, 1, f"there is no {source.key}", "write the source's public key there")
                )
                continue
            try:
                found = self._sources.offers(source, tree.read(source.key), names)
            except BuildError as error:
                problems.append(Problem(file, line, 1, error.message, error.hint))
                continue
            for name in sorted({*names} - {each.file.name for each in found}):
                hint = f"is it in suite {source.suite}, components {', '.join(source.components)}?"
                problems.append(
                    Problem(file, wanted.line(name), 1, f"source `{source.name}` has no package `{name}`", hint)
                )
            offers += found
        if problems:
            raise FleetError(problems)
        return offers

    def _fetched(self, each: Fetch, before: Sequence[LockedFile], wanted: Wanted, file: str) -> LockedFile:
        """Nothing is asked of anybody about a file that is locked already."""
        known = next((old.size for old in before if (old.kind, old.sha256) == (FETCHED, each.sha256)), None)
        try:
            return fetched(each, self._fetch(each) if known is None else known)
        except BuildError as error:
            raise FleetError([Problem(file, wanted.line(each.name), 1, error.message, error.hint)]) from error


def _refuse_hidden(offers: Sequence[Offer], installed: Sequence[LockedFile], wanted: Wanted, file: str) -> None:
    """What the base brings already would stay, whatever a source has under its name."""
    there = {each.name: each for each in installed}
    hidden = [name for each in offers if there.get(name := each.file.name) not in (None, each.file)]
    problems = [
        Problem(
            file, wanted.line(name), 1, f"the base has `{name}` already, and not this one", "ask for it in the base"
        )
        for name in hidden
    ]
    if problems:
        raise FleetError(problems)


def fetch_wheel(requirement: str, folder: Path | None = None) -> LockedFile:
    """Ask the machine's own Python index for one wheel; keep it in `folder` when that is given.

    Raises:
        BuildError: there is no such wheel for Debian 13, or no index answers.
    """
    if not WHEEL.fullmatch(requirement):  # pip would fetch an address, and run the setup.py of what is there
        raise BuildError(f"`{requirement}` is no wheel", hint="NAME==VERSION")
    with tempfile.TemporaryDirectory() as temporary:
        target = (folder or Path(temporary)).resolve()
        choice = ["--python-version", PYTHON, "--implementation", "cp"]
        choice += [word for abi in ("cp313", "abi3", "none") for word in ("--abi", abi)]
        choice += [word for name in PLATFORMS for word in ("--platform", f"{name}_x86_64")]
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
        pip += ["--retries", "1", "--timeout", "15"]
        try:
            # A source distribution would run its own setup.py, here and now; so would a `pip.py` of the current folder.
            run([*pip, "--only-binary=:all:", *choice, "--dest", target, "--", requirement], cwd=target)
        except ProcessError as error:
            raise BuildError(f"no wheel for `{requirement}`: {error.message.splitlines()[-1]}") from error
        name, _, version = requirement.partition("==")
        normal = re.sub(r"[-_.]+", "_", name).lower()
        wheels = [path for path in target.glob("*.whl") if path.name.lower().startswith(f"{normal}-{version}-")]
        if not wheels:
            raise BuildError(f"no wheel for `{requirement}` was handed out", hint="check name and version")
        ref = digest_file(wheels[0])
        return LockedFile("wheel", name, version, ref.sha256, ref.size, wheels[0].name)


def installed_below(tree: Tree, packages: Mapping[str, Package], path: str) -> list[LockedFile]:
    """What the final base of a package's Dockerfile holds, and that one's base."""
    base = final_base(tree, packages[path])
    if base is None:
        return []
    return [file for file in packages[base].lock if file.kind == "deb"] + installed_below(tree, packages, base)


def final_base(tree: Tree, package: Package) -> str | None:
    """The sibling that the last stage begins with; None for `scratch` and images from outside."""
    lines = tree.read(f"{package.path}/Dockerfile").decode().splitlines()
    last = [words[1] for line in lines if len(words := line.split()) > 1 and words[0].upper() == "FROM"][-1]
    value = dict(package.build_args).get(last.strip("${}"), "")
    return value.removeprefix(SIBLING) if value.startswith(SIBLING) else None
