"""What is in each locked file, read once ever: a big Debian package takes seconds, and every fleet has hundreds.

In: a store, a lock. Out: its `Part`s, as `parts` makes them. Rules: what was read of a file is a blob, and a note by
the file's SHA-256 says which; only what follows from the file's bytes is kept, what the lock says of it is added each
time; a blob that is lost, damaged or of another format is made again; what could not be opened is tried again.

    Index(store).parts(package.lock)
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import structlog
from pydantic import TypeAdapter, ValidationError

from gitops.errors import StoreError
from gitops.model import FETCHED, Component, LockedFile
from gitops.security.components import server
from gitops.security.sbom.files import Content
from gitops.security.sbom.parts import Part, licensed, part
from gitops.store import Store
from gitops.store.notes.documents import PartIndex

log = structlog.get_logger(__name__)

FORMAT = 1
"""Counted up when `parts` reads more, or otherwise."""


@dataclass(frozen=True)
class _Kept:
    """A part as it is kept: files by path, with digest and bytes."""

    component: Component
    documented_by: str = ""
    files: dict[str, tuple[str, int]] = field(default_factory=dict)


_KEPT = TypeAdapter(_Kept)


class Index:
    """`remember` is False where nothing may be written."""

    def __init__(self, store: Store, *, remember: bool = True) -> None:
        self._store, self._remember = store, remember

    def parts(self, lock: Iterable[LockedFile]) -> list[Part]:
        """A part for each locked file."""
        return licensed(map(self._part, lock))

    def _part(self, file: LockedFile) -> Part:
        if file.kind == FETCHED:  # its name is not in its bytes
            return part(file, self._store.blobs.path(file.sha256))
        if kept := self._kept(file.sha256):
            files = {path: Content(*content) for path, content in kept.files.items()}
            component = replace(kept.component, distribution=server(file))
            return Part(component, files, documented_by=kept.documented_by)
        made = part(file, self._store.blobs.path(file.sha256))
        if made.opened and self._remember:
            self._keep(file.sha256, made)
        return made

    def _kept(self, digest: str) -> _Kept | None:
        try:
            note = self._store.notes.get(PartIndex, digest)
            if note and note.format == FORMAT and self._store.blobs.has(note.sha256):
                return _KEPT.validate_json(self._store.blobs.read(note.sha256), strict=True)
        except (StoreError, ValidationError) as error:
            log.warning("index.damaged", file=digest, reason=str(error).splitlines()[0])
        return None

    def _keep(self, digest: str, made: Part) -> None:
        files = {path: (content.sha256, content.size) for path, content in made.files.items()}
        kept = _Kept(replace(made.component, distribution=""), made.documented_by, files)
        ref = self._store.blobs.put(_KEPT.dump_json(kept))
        self._store.notes.put(PartIndex(ref.sha256, FORMAT), digest)
