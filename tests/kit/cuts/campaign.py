"""Every state that a power cut may leave of a recorded update, judged: does the box start a verified release?

In: the disk before, the log of its writes, the releases, the firmware's second entry. Out: figures, and each state in
which the box would be lost. Rules: the same seed gives the same states; what was judged once is not judged again.

    Campaign(Recording.of(folder), folder / "work").run(Extent(states=10_000))
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gitops.assemble.formats.disk import Sizes
from tests.kit.cuts.loader import End, Known, View, boot, survives
from tests.kit.cuts.log import SECTOR, Log, Write, within
from tests.kit.cuts.partitions import Esp, Toweros
from tests.kit.cuts.region import Piece, Region

Kept = tuple[Write, int, int]
"""A write, and which of its sectors made it: from, to."""


@dataclass(frozen=True)
class Recording:
    """One update. `layers`: a layer's name -> the digest of its file; `releases`: a release -> its layers; `loaders`:
    the digests of their systemd-boots."""

    before: Path
    logs: Path
    sizes: Sizes
    known: Sequence[Known]
    releases: dict[str, tuple[str, ...]]
    layers: dict[str, str]
    loaders: Sequence[str] = ()

    @property
    def fallback(self) -> str:
        """The firmware's second entry, from before the first write until after the last: the release of before."""
        return f"toweros-{self.known[0].sequence}.efi"


@dataclass(frozen=True)
class Extent:
    """How much of it: samples of torn and reordered states for each epoch; of TOWEROS, every how manyth."""

    shuffled: int = 40
    torn: int = 3
    stride: int = 1
    seed: int = 11


@dataclass
class Figures:
    """What was found. `boots`: how many boots it took -> in how many states."""

    states: int = 0
    writes: int = 0
    flushes: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    boots: Counter[int] = field(default_factory=Counter)
    runs: Counter[int] = field(default_factory=Counter)
    views: int = 0
    disks: int = 0
    repairs: int = 0
    lost: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    """States in which a release was blessed before, and does not run any more."""
    left: list[str] = field(default_factory=list)
    """States in which the entry that was started does not survive the check of the file system after it."""

    def __str__(self) -> str:
        boots = ", ".join(f"{count} in boot {number}" for number, count in sorted(self.boots.items()))
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items()))
        return (
            f"{self.writes} writes, {self.flushes} flushes; {self.states} states ({kinds}); {self.views} different "
            f"ESPs, {self.disks} different TOWEROS, {self.repairs} ESPs repaired; runs: {dict(self.runs)}; "
            f"{boots}; {len(self.gone)} without the new release after it was blessed; "
            f"{len(self.left)} without what was started after the check; {len(self.lost)} lost"
        )


class Campaign:
    """One recording, in a folder of its own."""

    def __init__(self, recording: Recording, folder: Path) -> None:
        self.recording, self.log = recording, Log(recording.logs)
        folder.mkdir(parents=True, exist_ok=True)
        self._places = {name: recording.sizes.starts()[name] for name in ("ESP", "TOWEROS")}
        regions = {name: _cut_out(recording.before, folder / name, *place) for name, place in self._places.items()}
        self.regions = regions
        self.esp = Esp(regions["ESP"], recording.loaders)
        self.parts = {name: list(within(self.log.epochs, *place)) for name, place in self._places.items()}
        writes = [each for epoch in self.parts["TOWEROS"] for each in epoch]
        places = [(each.sector * SECTOR, each.count * SECTOR) for each in writes]
        self.toweros = Toweros(regions["TOWEROS"], recording.releases, recording.layers, places)
        self._views: dict[object, tuple[View, View]] = {}
        self._whole: dict[object, frozenset[str]] = {}
        self._judged: dict[object, End] = {}
        self.figures = Figures()

    def run(self, extent: Extent) -> Figures:
        chance = random.Random(extent.seed)
        self.figures.flushes = self.log.flushes
        settled = {"ESP": 0, "TOWEROS": 0}
        step, newest = 0, 0
        for esp, toweros in zip(self.parts["ESP"], self.parts["TOWEROS"], strict=True):
            epoch = {each.number: ("ESP", each) for each in esp} | {each.number: ("TOWEROS", each) for each in toweros}
            order = [epoch[number] for number in sorted(epoch)]
            self.figures.writes += len(order)
            for kind, kept in states([each for _, each in order], chance, extent):
                step += 1
                if not esp and step % extent.stride:
                    continue
                split = {
                    name: tuple((w, a, b) for w, a, b in kept if epoch[w.number][0] == name) for name in self.regions
                }
                self._judge(kind, split, settled, newest)
            for name, writes in (("ESP", esp), ("TOWEROS", toweros)):
                self.regions[name].settle([self._piece((each, 0, each.count)) for each in writes])
                settled[name] = max([settled[name], *(each.number for each in writes)])
            if esp:
                newest = max(newest, self._blessed(settled["ESP"]))
        self.figures.views, self.figures.disks = len(self._views), len(self._whole)
        self.figures.repairs = self.esp.repairs
        return self.figures

    def _judge(self, kind: str, split: dict[str, tuple[Kept, ...]], settled: dict[str, int], newest: int) -> None:
        figures = self.figures
        figures.states += 1
        figures.kinds[kind] += 1
        (view, repaired), esp_key = self._view(split["ESP"], settled["ESP"])
        whole, disk_key = self._releases(split["TOWEROS"], settled["TOWEROS"])
        for each in (view, repaired):
            ends, boots, started = self._boot(each, whole)
            if ends is None:
                figures.lost.append(f"{kind}: ESP {esp_key}, TOWEROS {disk_key}: {each}")
            elif ends.sequence < newest:
                figures.gone.append(f"{kind}: ESP {esp_key}, TOWEROS {disk_key}: {each}")
            if each is view and started and not survives(started, repaired):
                figures.left.append(f"{kind}: ESP {esp_key}, TOWEROS {disk_key}: {started.name}: {repaired}")
            if each is view:
                figures.boots[boots] += 1
                figures.runs[ends.sequence if ends else 0] += 1

    def _blessed(self, settled: int) -> int:
        """The newest release that is blessed from here on."""
        (view, _), _ = self._view((), settled)
        ends = self._boot(view, frozenset(self.recording.releases)).release
        blessed = ends and any(each.name == f"toweros-{ends.sequence}.efi" for each in view.files)
        return ends.sequence if ends and blessed else 0

    def _boot(self, view: View, whole: frozenset[str]) -> End:
        key = (view, whole)
        if key not in self._judged:
            self._judged[key] = boot(view, self.recording.fallback, self.recording.known, whole)
        return self._judged[key]

    def _view(self, kept: tuple[Kept, ...], settled: int) -> tuple[tuple[View, View], object]:
        key = (settled, tuple((each.number, a, b) for each, a, b in kept))
        if key not in self._views:
            with self.regions["ESP"].holding([self._piece(each) for each in kept]):
                self._views[key] = self.esp.view(), self.esp.repaired()
        return self._views[key], key

    def _releases(self, kept: tuple[Kept, ...], settled: int) -> tuple[frozenset[str], object]:
        key = (settled, tuple((each.number, a, b) for each, a, b in kept))
        if key not in self._whole:
            with self.regions["TOWEROS"].holding([self._piece(each) for each in kept]):
                self._whole[key] = self.toweros.whole()
        return self._whole[key], key

    def _piece(self, kept: Kept) -> Piece:
        write, start, end = kept
        return write.number, write.sector + start, self.log.data(write)[start * SECTOR : end * SECTOR]


def states(epoch: Sequence[Write], chance: random.Random, extent: Extent) -> Iterator[tuple[str, list[Kept]]]:
    """What may be there of an epoch: every boundary; torn writes; any of them missing."""
    full = [(each, 0, each.count) for each in epoch]
    for count in range(len(full) + 1):
        yield "boundary", full[:count]
    for place, write in enumerate(epoch):
        cuts = range(1, write.count)
        for cut in sorted(chance.sample(cuts, min(extent.torn, len(cuts)))):
            torn = (write, 0, cut) if chance.random() < 0.7 else (write, cut, write.count)
            yield "torn", [*full[:place], torn]
    if len(full) < 2:
        return
    if len(full) <= 5:
        for mask in range(1 << len(full)):
            yield "reordered", [each for place, each in enumerate(full) if mask >> place & 1]
        return
    for _ in range(extent.shuffled):
        some = [each for each in full if chance.random() < 0.5]
        chance.shuffle(some)
        if some and chance.random() < 0.5:
            write, _start, count = some[-1]
            some[-1] = (write, 0, chance.randint(1, count))
        yield "reordered", some


def _cut_out(disk: Path, to: Path, start: int, size: int) -> Region:
    """A partition of a sparse disk, as a file of its own."""
    zeros = bytes(1 << 20)
    with disk.open("rb") as source, to.open("wb") as target:
        source.seek(start)
        for place in range(0, size, 1 << 20):
            if (data := source.read(1 << 20)) != zeros[: len(data)]:
                target.seek(place)
                target.write(data)
        target.truncate(size)
    return Region(to)
