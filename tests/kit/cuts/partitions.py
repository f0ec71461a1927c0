"""The two partitions that a box starts from, judged as its boot judges them.

In: regions. Out: of the ESP, what a boot loader sees (loader.py), also after `fsck.vfat -a`, as init runs it; of
TOWEROS, the releases of which every file is there bit for bit after `e2fsck -fy`, which replays the journal.
"""

import hashlib
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence

from tests.kit.cuts.fat import Fat, Record
from tests.kit.cuts.loader import File, View
from tests.kit.cuts.region import Region

BLOCK = 4096
LINUX = "EFI/Linux/"


class Esp:
    """`loaders` are the digests of systemd-boot as it was installed, and as releases brought it."""

    def __init__(self, region: Region, loaders: Iterable[str] = ()) -> None:
        self.region, self.fat = region, Fat(region)
        self._repaired: dict[bytes, tuple[View, int]] = {}
        self.fat.look()
        self.loaders = {self.fat.digest(self.fat.tree()["EFI/BOOT/BOOTX64.EFI"]), *loaders}

    def view(self) -> View:
        self.fat.look()
        tree = self.fat.tree()
        files, beside = (
            tuple(
                File(path.removeprefix(LINUX), self.fat.digest(record), self._addons(tree, path))
                for path, record in sorted(tree.items())
                if path.startswith(LINUX) and path.lower().endswith(end) and path.count("/") == 2
                and not record.folder and record.size
            )
            for end in (".efi", ".efi.new")
        )  # fmt: skip
        conf, boot = tree.get("loader/loader.conf"), tree.get("EFI/BOOT/BOOTX64.EFI")
        text = (self.fat.content(conf) or b"").decode(errors="replace") if conf else ""
        return View(files, text, boot is not None and self.fat.digest(boot) in self.loaders, beside)

    def _addons(self, tree: Mapping[str, Record], path: str) -> tuple[str, ...]:
        folder = re.sub(r"\+\d+(-\d+)?(?=\.efi$)", "", path) + ".extra.d/"
        return tuple(
            self.fat.digest(record)
            for name, record in sorted(tree.items())
            if name.startswith(folder) and name.lower().endswith(".addon.efi")
        )

    def repaired(self) -> View:
        """What it is after init's check; everything is put back."""
        self.fat.look()
        metadata = self.fat.metadata()
        key = hashlib.sha256(b"".join(data for _, data in metadata)).digest()
        if key not in self._repaired:
            done = subprocess.run(["fsck.vfat", "-a", self.region.path], capture_output=True, text=True)
            assert done.returncode in (0, 1), done.stdout
            self._repaired[key] = (self.view(), done.returncode)
            for start, data in metadata:  # nothing else is repaired
                self.region.data[start : start + len(data)] = data
        return self._repaired[key][0]

    @property
    def repairs(self) -> int:
        """How many different damages there were."""
        return sum(code for _, code in self._repaired.values())


class Toweros:
    """`releases`: a release's digest -> its layers by name; `layers`: a layer's name -> the digest of its file.

    e2fsck works on a copy without the content of the layers, which it does not look at; that is read from the region.
    `written` are the places (bytes: start, size) that any state may have written to.
    """

    def __init__(self, region: Region, releases: Mapping[str, Sequence[str]], layers: Mapping[str, str],
                 written: Sequence[tuple[int, int]]) -> None:  # fmt: skip
        self.region, self.releases, self.layers = region, releases, layers
        self._digests: dict[bytes, str] = {}
        self.copy = region.path
        said = self._said([f"/layers/{name}" for name in layers])
        content = {(place, count) for text in said for _, place, count in _extents(text)}
        blocks = {block for place, count in content for block in range(place, place + count)}
        free = {block for block in range(len(region.data) // BLOCK)} - blocks
        used = {block for block in free if region.data[block * BLOCK : (block + 1) * BLOCK] != bytes(BLOCK)}
        for start, size in written:
            used |= set(range(start // BLOCK, -(-(start + size) // BLOCK)))
        self._bones = sorted(used)
        self.copy = region.path.with_suffix(".copy")

    def whole(self) -> frozenset[str]:
        """The releases that could be started."""
        with self.copy.open("wb") as file:
            file.truncate(len(self.region.data))
            for block in self._bones:
                file.seek(block * BLOCK)
                file.write(self.region.read(block * BLOCK, BLOCK))
        done = subprocess.run(["e2fsck", "-fy", self.copy], capture_output=True, text=True)
        return self._read() if done.returncode < 4 else frozenset()

    def _said(self, paths: Sequence[str]) -> list[str]:
        """What debugfs says of each file's inode and extents."""
        words = "".join(f"{verb} {path}\n" for path in paths for verb in ("stat", "ex"))
        command = ["debugfs", "-f", "-", self.copy]
        said = subprocess.run(command, input=words, capture_output=True, text=True, check=True).stdout
        return said.split("debugfs: stat ")[1:]

    def _read(self) -> frozenset[str]:
        wanted = [f"/layers/{name}" for name in self.layers] + [f"/releases/{name}.json" for name in self.releases]
        digests = {path: self._digest(text) for path, text in zip(wanted, self._said(wanted), strict=True)}
        good = {name for name, digest in self.layers.items() if digests[f"/layers/{name}"] == digest}
        return frozenset(
            name
            for name, layers in self.releases.items()
            if digests[f"/releases/{name}.json"] == name and good.issuperset(layers)
        )

    def _digest(self, said: str) -> str:
        """Of a file, from what debugfs says of it; "" when it is not there."""
        size = re.search(r"Size: (\d+)", said)
        if not size:
            return ""
        extents = _extents(said)
        stamps = [self.region.stamp(place * BLOCK, count * BLOCK) for _, place, count in extents]
        key = hashlib.sha256(size[1].encode() + repr(extents).encode() + b"".join(stamps)).digest()
        if key not in self._digests:
            data = bytearray(int(size[1]))  # with holes
            for first, place, count in extents:
                data[first * BLOCK : (first + count) * BLOCK] = self.region.read(place * BLOCK, count * BLOCK)
            self._digests[key] = hashlib.sha256(data[: int(size[1])]).hexdigest()
        return self._digests[key]


def _extents(said: str) -> list[tuple[int, int, int]]:
    """(first block of the file, its place on the disk, how many), of what debugfs says of a file."""
    row = r"^ *(\d+)/ *(\d+) +\d+/ *\d+ +(\d+) - +\d+ +(\d+) - +\d+ +(\d+)(.*)$"
    found = re.findall(row, said, re.MULTILINE)
    return sorted(
        (int(first), int(place), int(count))
        for level, depth, first, place, count, flags in found
        if level == depth and "Uninit" not in flags
    )
