"""A controller's store in which a box has missed releases: real layers, real reports, no builds.

here = Missed(kit(tmp_path / "fleet"))
here.publish(*here.releases)
here.reports("demo-1", here.releases[0])
"""

import random
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from gitops.model import Health, Layer, Phase, Publication, Release, Report, Revision
from gitops.publish.transfers import compress
from tests.kit.published import NOW, Kit
from tests.simulators.box import Made, make


def image(edition: int, size: int, edits: int) -> bytes:
    """Bytes that nothing packs, some of which are others with each edition."""
    data = bytearray(random.Random(7).randbytes(size))
    for each in range(1, edition + 1):
        dice = random.Random(each)
        for _ in range(edits):
            at = dice.randrange(size - 100)
            data[at : at + 100] = dice.randbytes(100)
    return bytes(data)


@dataclass
class Missed:
    """Four releases of `demo-1`, whose image of `size` bytes changes with each, at so many places."""

    kit: Kit
    size: int = 300_000
    edits: int = 20
    counters: dict[str, int] = field(default_factory=dict)

    @cached_property
    def releases(self) -> list[Made]:
        return [self.made(number) for number in range(4)]

    def made(self, edition: int, box: str = "demo-1") -> Made:
        return make(7 + edition, images=(b"documents", image(edition, self.size, self.edits)), box=box)

    @property
    def folder(self) -> Path:
        return self.kit.store.paths.layers

    def layers(self, made: Made) -> None:
        """In the store, as a publication leaves them."""
        for root, data in made.blobs.items():
            file = self.kit.folder / "layer"
            file.write_bytes(data)
            self.kit.store.layers.add(file, root)
            compress(self.kit.store.layers, root)

    def publish(self, *releases: Made) -> None:
        """Each offered to its box, which is not asked."""
        store = self.kit.store
        for made in releases:
            self.layers(made)
            release = Release.parse(made.document)
            blobs = [store.blobs.put(data) for data in (made.document, made.uki, made.addon)]
            revision = Revision("main", f"{release.sequence:040x}", release.sequence, NOW)
            store.offers.save_published(Publication(release, revision, *blobs), "key")

    def reports(self, box: str, runs: Made, content: str = "") -> None:
        """What it says that it runs. `content`: a lie."""
        counter = self.counters[box] = self.counters.get(box, 0) + 1
        if counter == 1:
            self.kit.store.boxes.enroll(box, "ab" * 32)
        what = (runs.sequence, runs.digest, content or runs.content)
        said = Report(box, "boot", counter, 1, "1", *what, Phase.IDLE, Health.HEALTHY)
        assert self.kit.store.boxes.save_report(said)

    def last(self, made: Made) -> Layer:
        """The layer that changes."""
        return Release.parse(made.document).content.containers[-1].layers[-1]

    def delta(self, before: Made, after: Made) -> Path:
        return self.kit.store.layers.delta(self.last(before).root, self.last(after).root)
