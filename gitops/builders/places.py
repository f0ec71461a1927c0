"""Where a locked file may be, in the order in which the places are asked.

In: the settings `snapshot` and `inputs`, and this machine's own mirrors. Out: addresses of one file. Rules: mirrors,
then snapshot archives, then `inputs` mirrors of one's own; a wheel is asked of the index instead of the first two; what
is neither Debian's nor the index's is at its own address, and in those archives that are asked by digest.

    Places(snapshot=("http://archive.example/debian/20261101T000000Z/",)).of(file)
    Places(inputs=("/media/usb", "http://files.example/{sha256}.bin")).of(file)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from gitops.builders.mirrors import mirrors
from gitops.errors import TowerosError
from gitops.model import LockedFile
from gitops.settings import Settings

PLACEHOLDERS = ("sha256", "path", "filename")
"""What a template may name, in braces."""


@dataclass(frozen=True)
class Place:
    """One file at one place: a URL, or a path in a folder. `server` is what is given up when it does not answer."""

    address: str = field(repr=False)
    """apt's own sources may hold a password."""
    server: str

    @property
    def folder(self) -> bool:
        return not is_url(self.address)


def _own_mirrors() -> tuple[str, ...]:
    return tuple(dict.fromkeys(mirror.uri for mirror in mirrors()))


class Mirrors:
    """Asked for once. That there are none is no reason not to ask the other places: `trouble` says why, and the way
    out."""

    def __init__(self, ask: Callable[[], Sequence[str]]) -> None:
        self._ask, self.trouble = ask, ""

    def __call__(self) -> Sequence[str]:
        return self._asked

    @cached_property
    def _asked(self) -> Sequence[str]:
        try:
            return self._ask()
        except TowerosError as error:
            self.trouble = f"{error.message}: {error.hint}"
            return ()


@dataclass(frozen=True)
class Places:
    """`mirrors` is asked for its URIs when a file is looked for and not before: not every build needs apt."""

    snapshot: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    mirrors: Callable[[], Sequence[str]] = field(default=_own_mirrors, compare=False)

    @classmethod
    def by(cls, settings: Settings) -> "Places":
        return cls(settings.snapshot, settings.inputs)

    def of(self, file: LockedFile) -> list[Place]:
        """Every address of a file, first to last."""
        own = [_place(base, file, "sha256/{sha256}") for base in self.inputs]
        if file.elsewhere:
            by_digest = [_place(base, file, "") for base in self.snapshot if "{sha256}" in base]
            return [Place(file.path, _host(file.path)), *by_digest, *own]
        if file.kind == "wheel":
            return own
        return [_place(base, file, "{path}") for base in (*self.mirrors(), *self.snapshot)] + own


def is_url(text: str) -> bool:
    return urlsplit(text).scheme in ("http", "https")


def _place(base: str, file: LockedFile, below: str) -> Place:
    """A base without a placeholder is a folder, locally or on a server, that holds the file at `below`."""
    template = base if any(f"{{{name}}}" in base for name in PLACEHOLDERS) else f"{base.rstrip('/')}/{below}"
    values = {"sha256": file.sha256, "path": file.path, "filename": file.filename}
    for name in PLACEHOLDERS:
        template = template.replace(f"{{{name}}}", values[name])
    return Place(template, _host(base) if is_url(base) else str(Path(base)))


def _host(url: str) -> str:
    """Host and port, without who asks."""
    return urlsplit(url).netloc.rpartition("@")[2]
