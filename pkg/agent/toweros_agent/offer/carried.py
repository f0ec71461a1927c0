"""A bundle: what the server has for this box, on a medium that somebody carried here (contracts/bundle).

In: folders and sticks. Out: the same names as the server's, below `bundle:` (of the one that was chosen) or
`bundle:KEY`. Rules: they are asked where the server is out of reach, and for content before any server; nothing in
them is believed: what is signed, verity roots and digests decide, as with any mirror. Of several the one that says it
is newest comes first, and the next when that is refused.

    carried = Carried(Path("/state/bundle"))
    carried.read("bundle:/metadata/timestamp.json", 16 << 10)
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from toweros_agent.media import NAME
from toweros_agent.nouns import readable
from toweros_agent.offer.net import CARRIED, NetError
from toweros_agent.plugged.folder import Folder
from toweros_agent.plugged.stick import Stick
from toweros_agent.plugged.sticks import Sticks

MAX_NAME = 1 << 20
DIGEST = re.compile(r"[0-9a-f]{64}")
SMALL = re.compile(r"(boxes|claims)/[a-z0-9][a-z0-9.-]*/[a-z0-9.]+\.json")
"""A file of a small repository, below the metadata."""
ASKED = "bundle"
"""Below state/ of `TOWEROS`: which folder an operator named (`toweros-agent bundle DIR`)."""
MAX_PATH = 4096
PLACES = {"metadata": "repo/metadata", "attestations": "repo/attestations"}


class Medium(Protocol):
    """A folder or a stick. `key` is one word; `name` is for people."""

    @property
    def name(self) -> str: ...

    @property
    def key(self) -> str: ...

    def read(self, path: str, limit: int) -> bytes: ...

    def size(self, path: str) -> int | None: ...

    def copy(self, path: str, part: Path, limit: int, tick: Callable[[], None]) -> None: ...


class Carried:
    """All bundles that are there. `chosen` is the one that is believed now."""

    def __init__(self, *folders: Path, sticks: Sticks | None = None, asked: Path | None = None) -> None:
        self._folders, self.sticks, self._asked = folders, sticks, asked
        self.chosen: Medium | None = None

    def media(self) -> list[Medium]:
        """The bundles, by their own word the newest first."""
        places = [*self._folders, *filter(None, [self._asked and asked_for(self._asked)])]
        found: list[Medium] = [
            each for number, place in enumerate(places) if (each := Folder(place, f"{number}")).there
        ]
        found += [each for each in (self.sticks.all() if self.sticks else ()) if not each.problem]
        if self.chosen not in found:
            self.chosen = None
        return sorted(found, key=_newest, reverse=True) if len(found) > 1 else found

    def troubles(self) -> list[str]:
        """Of sticks that cannot be read: who plugged one in that is no bundle is not told."""
        sticks: list[Stick] = self.sticks.all() if self.sticks else []
        return [f"{each.name}: {each.problem}" for each in sticks if each.problem and not each.silent]

    def bases(self) -> tuple[str, ...]:
        """How the addresses begin of all that are there, the chosen one's first."""
        media = sorted(self.media(), key=lambda each: each is not self.chosen)
        return tuple(CARRIED + each.key for each in media)

    def check(self, medium: Medium) -> None:
        """Raises `NetError` when it is of a format that this agent does not read."""
        try:
            readable(NAME, json.loads(medium.read(NAME, MAX_NAME)))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise NetError(f"{NAME}: {type(error).__name__}: {error}") from error

    def read(self, url: str, limit: int) -> bytes:
        """Raises `NetError`: it is not there (404), larger than `limit` (413), or cannot be read."""
        medium, path = self._place(url)
        return medium.read(path, limit)

    def size(self, url: str) -> int | None:
        """None: it is not there. Raises `NetError`: nobody can say."""
        medium, path = self._place(url)
        return medium.size(path)

    def copy(self, url: str, part: Path, limit: int, tick: Callable[[], None]) -> None:
        """All of it into `part`. Raises as `read`, and `OSError` when `part` cannot be written."""
        medium, path = self._place(url)
        medium.copy(path, part, limit, tick)

    def _place(self, url: str) -> tuple[Medium, str]:
        key, _, whole = url.removeprefix(CARRIED).partition("/")
        media = self.media()
        medium = next((each for each in media if each.key == key or (not key and self.chosen in (None, each))), None)
        if medium is None:
            raise NetError("there is no bundle", 404)
        kind, _, rest = whole.partition("/")
        digest = DIGEST.search(rest)
        if kind == "targets" and digest:
            return medium, f"blobs/sha256/{digest[0]}"
        return medium, f"{PLACES.get(kind, kind)}/{rest if SMALL.fullmatch(rest) else Path(rest).name}"


def asked_for(file: Path) -> Path | None:
    """The folder that an operator named; None: none."""
    try:
        with file.open("rb") as stream:
            words = stream.read(MAX_PATH).decode().strip()
        return Path(words) if words.startswith("/") else None
    except (OSError, UnicodeDecodeError):
        return None


def _newest(medium: Medium) -> int:
    """Until when it holds, by a word that nobody signed: it says in which order they are looked at, and no more."""
    try:
        expires = json.loads(medium.read(NAME, MAX_NAME))["expires"]
        return expires if isinstance(expires, int) else 0
    except (NetError, ValueError, TypeError, KeyError, RecursionError):
        return 0
