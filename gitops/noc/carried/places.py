"""A bundle wherever it lies: a folder, an ISO or image file, the device of a stick, which is never mounted.

In: a path. Out: what it says of itself, and a source of what it holds. Rules: nothing of it is believed here.

    with opened(Path("bundle.iso")) as bundle:
        bundle.words.boxes, bundle.source
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gitops.errors import DocumentError, StoreError
from gitops.model.reading import read
from gitops.noc.bundles import BUNDLE, BUNDLE_FORMAT, MAX_NAME, Bundle
from gitops.noc.media import NAME
from gitops.noc.media.disk import MediumError
from gitops.noc.media.medium import Medium
from gitops.noc.origin import DIGEST, Folder, OriginError, Source

PLACES = {"metadata": "repo/metadata", "attestations": "repo/attestations"}


@dataclass(frozen=True)
class Opened:
    """`words`: what it says of itself; `kind`: its file system, or `folder`."""

    words: Bundle
    source: Source
    kind: str


@contextmanager
def opened(place: Path) -> Iterator[Opened]:
    """Raises StoreError: there is no bundle, or nobody may read it."""
    if place.is_dir():
        yield Opened(Bundle.open(place), Folder(place), "folder")
        return
    try:
        medium = Medium.open(place)
    except (MediumError, OSError) as error:
        hint = "name a folder, an ISO, or a stick's device; `toweros bundle make` makes one"
        raise StoreError(f"{place} is no bundle: {getattr(error, 'strerror', None) or error}", hint=hint) from error
    with medium:
        try:
            words = read(BUNDLE, NAME, medium.read(NAME, MAX_NAME), BUNDLE_FORMAT)
        except (MediumError, DocumentError) as error:
            raise StoreError(f"{place}: {error}", hint="make the bundle again") from error
        yield Opened(words, OnMedium(medium, str(place)), medium.kind)


@dataclass(frozen=True)
class OnMedium:
    """A bundle on an open medium, as a source."""

    medium: Medium
    name: str

    def get(self, name: str, most: int) -> bytes:
        """Raises OriginError: it is not there, too large, or cannot be read."""
        return b"".join(self._pieces(name, most))

    def bring(self, name: str, part: Path, most: int) -> None:
        """Raises as `get`. OSError: `part` cannot be written."""
        with part.open("wb") as target:
            for piece in self._pieces(name, most):
                target.write(piece)

    def _pieces(self, name: str, most: int) -> Iterator[bytes]:
        kind, _, rest = name.partition("/")
        digest = DIGEST.search(rest)
        path = f"blobs/sha256/{digest[0]}" if kind == "targets" and digest else f"{PLACES.get(kind, kind)}/{rest}"
        try:
            size, pieces = self.medium.pieces(path)
            if size > most:
                raise OriginError(f"{name}: more than the {most} bytes that it may have", large=True)
            yield from pieces
        except MediumError as error:
            raise OriginError(f"{self.name}: {name}: {error}", missing=error.missing) from error
