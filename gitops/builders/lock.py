"""`toweros lock`: packages.in becomes packages.lock, every input by version and digest.

In: a package's folder and those that it stands on. Out: the bytes of its packages.lock. Rules: an image's final base is
taken as installed, so that a lock names only what its own layer adds; build stages do not count.

    locker = Locker(state / "apt")
    data = locker.lock(tree, packages, "pkg/sshd")
"""

import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gitops.builders.apt import Apt, UnknownPackageError
from gitops.errors import BuildError, FleetError, Problem, ProcessError
from gitops.fleet.packages import SIBLING
from gitops.fleet.packages.lockfile import Wanted, dump_lock, parse_wanted
from gitops.model import LockedFile, Package, Tree
from gitops.process import run
from gitops.store.files.blobs import digest_file

PYTHON = "3.13"
"""Debian 13's Python, for which wheels are chosen."""
PLATFORMS = ("manylinux_2_17", "manylinux2014", "manylinux_2_28", "manylinux_2_34")
ESSENTIAL = "?essential"


class Locker:
    """Resolves any number of packages against one state of the mirrors."""

    def __init__(self, folder: Path) -> None:
        self._apt = Apt(folder)
        self._updated = False

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
        files = self._debs(wanted, _installed(tree, packages, path), file) if wanted.debs or wanted.rootfs else []
        return dump_lock(asked, files + [fetch_wheel(wheel) for wheel in wanted.wheels])

    def _debs(self, wanted: Wanted, installed: list[LockedFile], file: str) -> list[LockedFile]:
        if not self._updated:
            self._apt.update()
            self._updated = True
        names = [*wanted.debs, *([ESSENTIAL] if wanted.rootfs in ("essential", "minbase") else [])]
        try:
            return self._apt.resolve(names, installed, wanted.assumed)
        except BuildError as error:
            unknown = error.name if isinstance(error, UnknownPackageError) else ""
            line = next((number for name, number in wanted.lines if name == unknown), 1)
            raise FleetError([Problem(file, line, 1, error.message, "see `apt-cache search`")]) from error


def fetch_wheel(requirement: str, folder: Path | None = None) -> LockedFile:
    """Ask the machine's own Python index for one wheel; keep it in `folder` when that is given.

    Raises:
        BuildError: there is no such wheel for Debian 13, or no index answers.
    """
    with tempfile.TemporaryDirectory() as temporary:
        target = folder or Path(temporary)
        choice = ["--python-version", PYTHON, "--implementation", "cp"]
        choice += [word for abi in ("cp313", "abi3", "none") for word in ("--abi", abi)]
        choice += [word for name in PLATFORMS for word in ("--platform", f"{name}_x86_64")]
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
        pip += ["--retries", "1", "--timeout", "15"]
        try:
            # A source distribution would run its own setup.py, here and now.
            run([*pip, "--only-binary=:all:", *choice, "--dest", target, requirement])
        except ProcessError as error:
            raise BuildError(f"no wheel for `{requirement}`: {error.message.splitlines()[-1]}") from error
        name, _, version = requirement.partition("==")
        normal = re.sub(r"[-_.]+", "_", name).lower()
        wheels = [path for path in target.glob("*.whl") if path.name.lower().startswith(f"{normal}-{version}-")]
        if not wheels:
            raise BuildError(f"no wheel for `{requirement}` was handed out", hint="check name and version")
        ref = digest_file(wheels[0])
        return LockedFile("wheel", name, version, ref.sha256, ref.size, wheels[0].name)


def _installed(tree: Tree, packages: Mapping[str, Package], path: str) -> list[LockedFile]:
    """What the final base of a package's Dockerfile holds, and that one's base."""
    base = final_base(tree, packages[path])
    if base is None:
        return []
    return [file for file in packages[base].lock if file.kind == "deb"] + _installed(tree, packages, base)


def final_base(tree: Tree, package: Package) -> str | None:
    """The sibling that the last stage begins with; None for `scratch` and images from outside."""
    lines = tree.read(f"{package.path}/Dockerfile").decode().splitlines()
    last = [words[1] for line in lines if len(words := line.split()) > 1 and words[0].upper() == "FROM"][-1]
    value = dict(package.build_args).get(last.strip("${}"), "")
    return value.removeprefix(SIBLING) if value.startswith(SIBLING) else None
