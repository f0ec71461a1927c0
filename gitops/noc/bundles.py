"""A bundle: a folder with all that some boxes are offered, to be carried where no line is.

In: a source, boxes, a folder. Out: the folder, laid out as a controller's state folder, and `toweros-bundle.json`, that
says of whom it is. Rules: that file is written last, so a bundle that was cut has none, or an older one whose files are
all still there; nothing in it is believed by anybody: what is signed decides.

    make(source, root, ["site-7"], Path("/media/stick"), now)
    Bundle.open(Path("/media/stick")).boxes
"""

import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from gitops.errors import DocumentError, StoreError
from gitops.files.named import named
from gitops.model import canonical
from gitops.model.reading import read
from gitops.noc.carried.room import check_own, check_parts, keep_places
from gitops.noc.copy import Copy
from gitops.noc.media import NAME
from gitops.noc.mirror import Mirror, Passed
from gitops.noc.origin import Source
from gitops.store.files.blobs import arriving

BUNDLE_FORMAT = 1
MAX_NAME = 1 << 20
UNBOUNDED = 1 << 62
NOT_OURS = ("toweros.db", "id", "source", "noc.key")
"""What the folder of a controller or of a NOC has: what is not needed there stays."""


@dataclass(frozen=True)
class Bundle:
    """What a bundle says of itself (contracts/bundle). `expires`: until when boxes take it; `made`: Unix seconds."""

    boxes: Annotated[tuple[Annotated[str, Field(max_length=100)], ...], Field(min_length=1, max_length=10_000)]
    made: Annotated[int, Field(ge=0)]
    expires: Annotated[int, Field(ge=0)]

    @classmethod
    def open(cls, folder: Path) -> "Bundle":
        """Raises StoreError: it is none, it was cut as it was made, or it is another version's."""
        path = folder / NAME
        try:
            return read(BUNDLE, NAME, named(path, MAX_NAME), BUNDLE_FORMAT)
        except FileNotFoundError as error:
            hint = "is it mounted? what `toweros bundle make` was stopped at has none: run it again"
            raise StoreError(f"{folder} is no bundle: there is no {NAME}", hint=hint) from error
        except (OSError, DocumentError) as error:
            raise StoreError(f"{path}: {error}", hint="make the bundle again") from error

    def encode(self) -> bytes:
        boxes = list(self.boxes)
        return canonical({"format": BUNDLE_FORMAT, "boxes": boxes, "made": self.made, "expires": self.expires})


BUNDLE = TypeAdapter(Bundle)


def make(source: Source, root: bytes, boxes: list[str], folder: Path, most: int = UNBOUNDED) -> Passed:
    """Bring all that these boxes are offered into a folder; what an earlier bundle there has is kept.

    Raises:
        TowerosError: nothing is signed for a box, or something of it cannot be had; the folder is somebody's.
    """
    if any((folder / name).exists() for name in NOT_OURS):
        raise StoreError(f"{folder} is the folder of a controller or a NOC", hint="name a folder of its own")
    check_parts(folder)
    check_own(folder)
    before = _before(folder)
    copy = Copy(folder, most, raw=False)
    shutil.rmtree(copy.tuf)  # what is believed is not carried: whoever takes it has his own
    with tempfile.TemporaryDirectory(prefix="toweros-bundle-") as tuf:
        copy.tuf = Path(tuf)
        mirror = Mirror(copy, source, root)
        passed = mirror.run(boxes)
        while mirror.mend(passed.needed, passed.layers):  # a stick forgets what a cut left unwritten
            passed = mirror.run(boxes)
    if passed.offers.unknown:
        raise StoreError(f"nothing is signed for {', '.join(passed.offers.unknown)}", hint="see `toweros status`")
    if passed.lacking:
        box, why = next(iter(passed.lacking.items()))
        raise StoreError(f"{box}: {why}", hint="run it again: it goes on where it stopped")
    for path in folder.glob("layers/*"):
        if path.name.partition(".")[0] not in passed.needed:
            path.unlink()
    shutil.rmtree(copy.incoming, ignore_errors=True)
    keep_places(folder, boxes, before)
    for path in folder.rglob("*"):
        _sync(path)
    with arriving(folder / NAME) as new:
        new.write_bytes(Bundle(tuple(sorted(boxes)), int(time.time()), passed.offers.expires).encode())
    _sync(folder / NAME)
    return passed


def _before(folder: Path) -> frozenset[str]:
    """Whose bundle it was."""
    try:
        return frozenset(Bundle.open(folder).boxes)
    except StoreError:
        return frozenset()


def _sync(path: Path) -> None:
    """By its own name: FAT forgets where a file is that was renamed since it was written."""
    if path.is_file():
        with path.open("rb") as file:
            os.fsync(file.fileno())
