"""What is in a bundle: for whom, until when, and whether all of it is what is signed.

In: a place, a root. Out: `Shown`. Rules: it is proven as a NOC proves it, in a folder that is gone afterwards: what a
box would refuse is refused here, but for what only a box knows: that it has seen newer ones.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gitops.model import Release
from gitops.noc.bundles import UNBOUNDED
from gitops.noc.carried.places import opened
from gitops.noc.copy import Copy
from gitops.noc.mirror import Mirror


@dataclass(frozen=True)
class Shown:
    """`boxes`: name -> the release that it is offered, 0: none that is whole; `wrong`: name -> why."""

    kind: str
    boxes: Mapping[str, int]
    wrong: Mapping[str, str]
    expires: int
    size: int


def show(place: Path, root: bytes, scratch: Path | None = None) -> Shown:
    """`scratch`: where there is room for all of it once more.

    Raises:
        StoreError: it is no bundle. TrustError: what is signed is refused. OriginError: it cannot be read.
    """
    with opened(place) as bundle, tempfile.TemporaryDirectory(prefix="toweros-bundle-", dir=scratch) as folder:
        copy = Copy(Path(folder), UNBOUNDED, raw=False)
        passed = Mirror(copy, bundle.source, root).run(bundle.words.boxes)
        wrong = dict(passed.lacking) | dict.fromkeys(passed.offers.unknown, "nothing is signed for it")
        releases = {
            box: Release.parse(copy.blobs.read(targets["release.json"].sha256)).sequence
            for box, targets in passed.offers.boxes.items()
            if box not in wrong
        }
        boxes = {box: releases.get(box, 0) for box in sorted({*bundle.words.boxes})}
        return Shown(bundle.kind, boxes, wrong, passed.offers.expires, copy.used())
