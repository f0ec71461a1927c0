"""The two partitions that a box starts from, judged as its boot judges them.

In: regions. Out: of the ESP, what a boot loader sees (loader.py), also after `fsck.vfat -a`, as init runs it; of
TOWEROS, the releases of which every file is there bit for bit after `e2fsck -fy`, which replays the journal.
"""

import hashlib
import re
import subprocess
from collections.abc import Mapping, Sequence

from tests.kit.cuts.fat import Fat, Record
from tests.kit.cuts.loader import File, View
from tests.kit.cuts.region import Region

BLOCK = 4096
LINUX = "EFI/Linux/"


class Esp:
    """`loader` is the digest of systemd-boot as it was installed."""

    def __init__(self, region: Region) -> None:
        self.region, self.fat = region, Fat(region)
        self._repaired: dict[bytes, tuple[View, int]] = {}
        self.fat.look()
        self.loader = self.fat.digest(self.fat.tree()["EFI/BOOT/BOOTX64.EFI"])

    def view(self) -> View:
        self.fat.look()
        tree = self.fat.tree()
        files = tuple(
            File(path.removeprefix(LINUX), self.fat.digest(record), self._addons(tree, path))
            for path, record in sorted(tree.items())
            if path.startswith(LINUX) and path.lower().endswith(".efi") and path.count("/") == 2
            and not record.folder and record.size
        )  # fmt: skip
        conf, boot = tree.get("loader/loader.conf"), tree.get("EFI/BOOT/BOOTX64.EFI")
        text = (self.fat.content(conf) or b"").decode(errors="replace") if conf else ""
        return View(files, text, boot is not None and self.fat.digest(boot) == self.loader)

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
    """`releases`: a release's digest -> its layers by name; `layers`: a layer's name -> the digest of its file."""

    def __init__(self, region: Region, releases: Mapping[str, Sequence[str]], layers: Mapping[str, str]) -> None:
        self.region, self.releases, self.layers = region, releases, layers
        self._digests: dict[bytes, str] = {}
        self.undo = region.path.with_suffix(".undo")

    def whole(self) -> frozenset[str]:
        """The releases that could be started."""
        self.undo.unlink(missing_ok=True)
        done = subprocess.run(["e2fsck", "-fy", "-z", self.undo, self.region.path], capture_output=True, text=True)
        try:
            return self._read() if done.returncode < 4 else frozenset()
        finally:
            if self.undo.exists():
                subprocess.run(["e2undo", self.undo, self.region.path], capture_output=True, check=True)

    def _read(self) -> frozenset[str]:
        wanted = [f"/layers/{name}" for name in self.layers] + [f"/releases/{name}.json" for name in self.releases]
        words = "".join(f"{verb} {path}\n" for path in wanted for verb in ("stat", "ex"))
        said = subprocess.run(
            ["debugfs", "-f", "-", self.region.path], input=words, capture_output=True, text=True, check=True
        ).stdout
        digests = {
            path: self._digest(part) for path, part in zip(wanted, said.split("debugfs: stat ")[1:], strict=True)
        }
        good = {name for name, digest in self.layers.items() if digests[f"/layers/{name}"] == digest}
        return frozenset(
            name for name, layers in self.releases.items()
            if digests[f"/releases/{name}.json"] == name and good.issuperset(layers)
        )  # fmt: skip

    def _digest(self, said: str) -> str:
        """Of a file, from what debugfs says of its inode and its extents; "" when it is not there."""
        size = re.search(r"Size: (\d+)", said)
        if not size:
            return ""
        rows = re.findall(r"^ *(\d+)/ *(\d+) +\d+/ *\d+ +(\d+) - +\d+ +(\d+) - +\d+ +(\d+)(.*)$", said, re.MULTILINE)
        leaves = [(int(first), int(place), int(count)) for level, depth, first, place, count, flags in rows
                  if level == depth and "Uninit" not in flags]  # fmt: skip
        runs = [(place * BLOCK, count * BLOCK) for _, place, count in sorted(leaves)]
        key = hashlib.sha256(size[1].encode() + repr(leaves).encode()
                             + b"".join(self.region.stamp(*run) for run in runs)).digest()  # fmt: skip
        if key not in self._digests:
            data = bytearray(int(size[1]))  # with holes
            for first, place, count in leaves:
                data[first * BLOCK : (first + count) * BLOCK] = self.region.read(place * BLOCK, count * BLOCK)
            self._digests[key] = hashlib.sha256(data[: int(size[1])]).hexdigest()
        return self._digests[key]
