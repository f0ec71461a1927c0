"""How many bytes a box would fetch, and whether they fit. Pure.

In: the packages of two fleets, what their layers weigh. Out: bytes per box. Rules: an image is the chain of its bases,
one layer each; a box fetches the layers whose package key it did not have. Without measured layers a package weighs
what its locked files weigh (they travel compressed, as layers do), and `EXPANDED` times that on disk. An estimate errs
upwards: a package that is built again may give the very layer that it gave before.

    weights = estimate(tree_entries, packages)      # path -> Weight(wire=1200000, disk=3600000)
    Chains(fleet, bases).layers(box)                # {("pkg/base", key), ("pkg/sshd", key), ...}
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gitops.fleet.packages import SIBLING
from gitops.model import BLOCK, Box, Content, Entry, Fleet, Package, Release, Tree
from gitops.model.room import Room, together
from gitops.plan import PACKAGE, needed

EXPANDED = 3
"""Bytes on disk per byte on the wire, for Debian packages (xz) against raw EROFS."""
KERNEL = 12 << 20
"""Bytes of a kernel file of Debian's, which travels inside the UKI."""
BOOT = 16 << 10
"""Bytes of a release document and its signed addon."""
OWN = 8 << 10
"""Bytes of a box's own layers before its files."""
INITRD = "pkg/initrd"
UNMOUNTED = (INITRD, "pkg/toolbox", "pkg/bootloader")
"""Packages that make a release, and whose layers no box mounts for that."""


@dataclass(frozen=True)
class Weight:
    """Bytes of a layer: as it travels, and on disk without its verity tree."""

    wire: int
    disk: int


DISK = Room.of_partitions(2048 << 20, 256 << 20)
"""A disk as `toweros box image` makes it (`assemble.disk.Sizes`; a test compares)."""


def estimate(entries: Mapping[str, Entry], packages: Mapping[str, Package]) -> dict[str, Weight]:
    """What each package's own layer would weigh, by its locked inputs and its folder."""
    folders: dict[str, int] = dict.fromkeys(packages, 0)
    for path, entry in entries.items():
        folder = path
        while "/" in folder:
            folder = folder.rpartition("/")[0]
            if folder in folders:
                folders[folder] += entry.size
                break
    weights = {}
    for path, package in packages.items():
        wire = folders[path] + sum(file.size for file in package.lock)
        weights[path] = Weight(wire, _blocks(EXPANDED * wire))
    return weights


class Chains:
    """The layers that boxes mount, as (package, key). `bases` says on which sibling a package's image stands."""

    def __init__(self, fleet: Fleet, bases: Mapping[str, str]) -> None:
        self._fleet, self._bases = fleet, bases
        self._known: dict[tuple[int, int], tuple[Box, frozenset[tuple[str, str]]]] = {}

    def layers(self, box: Box) -> frozenset[tuple[str, str]]:
        key = (id(box.spec), id(box.apps))
        if key not in self._known:
            images = box.spec.images()
            mounted = (path for path in needed(self._fleet, box) if path not in UNMOUNTED or PACKAGE + path in images)
            found = frozenset(layer for path in mounted for layer in self._chain(path))
            self._known[key] = (box, found)
        return self._known[key][1]

    def _chain(self, path: str) -> Iterator[tuple[str, str]]:
        while path in self._fleet.packages:
            yield path, self._fleet.packages[path].key
            path = self._bases.get(path, "")


def own_size(box: Box) -> int:
    """About how large the layers are that only this box's files and settings are in."""
    files = (*box.spec.files, *(file for app in box.apps for file in app.files), *box.files)
    return OWN + sum(_blocks(len(str(file.get("contents") or file.get("contentsBase64") or ""))) for file in files)


def uki_size(box: Box, weights: Mapping[str, Weight]) -> int:
    return KERNEL + weights.get(INITRD, Weight(0, 0)).wire


@dataclass(frozen=True)
class Measured:
    """A box's next release as it was made on trial, and the one before it."""

    release: Release
    before: Release | None
    uki: int
    boot: int
    """Bytes of the addon and the release's document."""
    wire: Mapping[str, int]
    """Root of a layer that the box lacks -> bytes of the smallest form of it that the server offers."""

    @property
    def fetch(self) -> int:
        """Bytes that a box which runs `before` downloads."""
        old = {layer.root for layer in self.before.layers()} if self.before else set()
        layers = sum(self.wire.get(layer.root, layer.size) for layer in self.release.layers() if layer.root not in old)
        return 0 if self.same else layers + self.boot + (self.uki if self._boots_another else 0)

    @property
    def disk(self) -> int:
        """Bytes of the layers of both releases."""
        return together(each.layers() for each in (self.release, self.before) if each)

    @property
    def same(self) -> bool:
        """Whether other inputs made the very same content: then the box has nothing to do."""
        return self.before is not None and self.before.content.digest == self.release.content.digest

    @property
    def _boots_another(self) -> bool:
        if self.before is None:
            return True
        old, new = self.before.content, self.release.content
        return _uki(old) != _uki(new)


def _uki(content: Content) -> tuple[object, ...]:
    """What it is made of."""
    return content.kernel, content.initrd, content.cmdline, content.boot and content.boot.stub


def _blocks(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def bases(tree: Tree, packages: Mapping[str, Package]) -> dict[str, str]:
    """Per package, the sibling whose layers its image begins with: what the last FROM of its Dockerfile names."""
    parents = {}
    for path, package in packages.items():
        lines = re.findall(r"(?im)^\s*FROM\s+(?:--platform=\S+\s+)?(\S+)", _text(tree, package))
        variable = lines[-1].strip("${}") if lines else ""
        value = dict(package.build_args).get(variable, "")
        if value.startswith(SIBLING):
            parents[path] = value.removeprefix(SIBLING)
    return parents


def _text(tree: Tree, package: Package) -> str:
    """Empty where there is none: that is a mistake of its own."""
    path = f"{package.path}/{package.dockerfile}"
    return tree.read(path).decode(errors="replace") if path in tree.entries() else ""
