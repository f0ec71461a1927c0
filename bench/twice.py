"""The same lock, the same bytes: every package of pkg/ is built twice, and what differs is shown file by file.

In: packages (none: all of pkg/), a working folder. Out: a line per package; exit code 1 when one is not the same. The
two builders share nothing but the locked files: other paths, another umask, time zone, language, user and home, other
times on the files, and another second of the clock. Needs root, as every build does, and a network for locked files:
the mirrors that apt has here, and the Python index (`toweros lock --gone` for what they have no more).

    python bench/twice.py                          # hours on a small machine; `make soak`
    python bench/twice.py pkg/hello pkg/sshd --budget 900
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from gitops.errors import Problem
from gitops.fleet.packages import load_packages
from gitops.model import Image
from gitops.source import FolderTree
from gitops.store import Store

CHECKOUT = Path(__file__).resolve().parent.parent
LAST = ("pkg/kernel-full", "pkg/kernel", "pkg/osmocom/base", "pkg/docker")
"""What takes longest comes last, so that a short budget shows most."""
VERB = "from gitops.cli.main import main; main()"


@dataclass(frozen=True)
class Builder:
    """One machine: where it builds, and all that must not matter."""

    folder: Path
    umask: int
    environment: dict[str, str]
    mtime: int

    @property
    def fleet(self) -> Path:
        return self.folder / "fleet"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def prepare(self) -> None:
        """A copy of the packages, with times of its own."""
        for name in ("home", "tmp"):
            (self.folder / name).mkdir(parents=True)
        shutil.copytree(CHECKOUT / "pkg", self.fleet / "pkg", symlinks=True)
        for path in self.fleet.rglob("*"):
            os.utime(path, (self.mtime, self.mtime), follow_symlinks=False)
        Store.open(self.state, migrate=True)

    def build(self, package: str) -> str:
        """What went wrong; empty when it was built."""
        words = [sys.executable, "-c", VERB, "build", package, "--dir", self.fleet, "--state", self.state]
        places = {"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "tmp"), "PYTHONPATH": str(CHECKOUT)}
        env = {**os.environ, **places, **self.environment}
        done = subprocess.run(words, check=False, env=env, umask=self.umask, capture_output=True, text=True)
        return done.stderr.strip() if done.returncode else ""

    def image(self, package: str) -> Image:
        problems: list[Problem] = []
        key = load_packages(FolderTree(self.fleet), 1, "linux/amd64", problems)[package].key
        image = Store.open(self.state).builds.image(key)
        assert image is not None
        return image


def lend(one: Builder, other: Builder) -> None:
    """Give the other the blobs that are inputs: a locked file is the same for both, and need not be fetched twice."""
    problems: list[Problem] = []
    packages = load_packages(FolderTree(one.fleet), 1, "linux/amd64", problems).values()
    mine, theirs = Store.open(one.state).blobs, Store.open(other.state).blobs
    for digest in {file.sha256 for package in packages for file in package.lock}:
        if mine.has(digest) and not theirs.has(digest):
            theirs.put_file(mine.path(digest))


def members(store: Store, layer: str) -> dict[str, tuple[object, ...]]:
    """All that a layer says of each of its files."""
    found = {}
    with tarfile.open(store.blobs.path(layer)) as tar:
        for each in tar:
            stream = tar.extractfile(each) if each.isreg() else None
            digest = hashlib.file_digest(stream, "sha256").hexdigest()[:12] if stream else each.linkname  # type: ignore[arg-type]
            owner = f"{each.uid}:{each.gid} {each.uname}:{each.gname}"
            found[each.name] = (f"{each.mode:o}", owner, each.mtime, each.size, digest, str(each.pax_headers))
    return found


def differences(one: tuple[Store, Image], other: tuple[Store, Image]) -> list[str]:
    """File by file."""
    lines = [] if one[1].config == other[1].config else [f"config: {one[1].config} | {other[1].config}"]
    if len(one[1].layers) != len(other[1].layers):
        return [*lines, f"layers: {len(one[1].layers)} | {len(other[1].layers)}"]
    for first, second in zip(one[1].layers, other[1].layers, strict=True):
        if first != second:
            here, there = members(one[0], first), members(other[0], second)
            names = sorted({*here, *there})
            changed = [name for name in names if here.get(name) != there.get(name)]
            lines += [f"{name}: {here.get(name)} | {there.get(name)}" for name in changed]
            lines += [] if changed else [f"layer {first[:12]}: the same files in another order or framing"]
    return lines


def compare(one: Builder, other: Builder, package: str) -> list[str]:
    """Build on both; what differs, or why there is nothing to compare."""
    for builder in (one, other):
        if wrong := builder.build(package):
            return [f"does not build in {builder.folder}: {wrong}"]
        lend(one, other)
    return differences(*((Store.open(builder.state), builder.image(package)) for builder in (one, other)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packages", nargs="*")
    parser.add_argument("--budget", type=float, default=float("inf"), help="seconds after which no package is begun")
    asked = parser.parse_args()
    known = [path for path in load_packages(FolderTree(CHECKOUT), 1, "linux/amd64", []) if path.startswith("pkg/")]
    begun, bad = time.monotonic(), 0
    with tempfile.TemporaryDirectory(prefix="twice-", ignore_cleanup_errors=True) as place:
        one = Builder(Path(place, "a"), 0o022, {"TZ": "UTC", "LC_ALL": "C.UTF-8"}, 1)
        far = {"TZ": "Pacific/Auckland", "LC_ALL": "C", "LANG": "de_DE.UTF-8", "USER": "grace", "LOGNAME": "grace"}
        other = Builder(Path(place, "somewhere", "else", "quite"), 0o077, far, 1_700_000_000)
        one.prepare()
        other.prepare()
        for package in sorted(asked.packages or known, key=lambda name: (name in LAST, name)):
            if time.monotonic() - begun > asked.budget:
                print(f"not reached {package}", flush=True)
                continue
            started, found = time.monotonic(), compare(one, other, package)
            bad += bool(found)
            took = f"{time.monotonic() - started:.0f} s"
            print(f"{'DIFFERS  ' if found else 'identical'} {package}  {took}", flush=True)
            for line in found[:40]:
                print(f"    {line}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
