"""What a feed's documents become: advisories, and the entries that could not be read. Pure.

Rules: an entry of another shape is skipped and counted: somebody else's mistake in one entry must not hide the others,
and must not look as if nothing were wrong either.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gitops.model import Advisory

TITLE = 160
"""Characters of a title that are kept."""


@dataclass(frozen=True)
class Unread:
    """An entry that could not be read: its name, and what was wrong with it, harmless for a terminal."""

    name: str
    why: str

    def __post_init__(self) -> None:
        for member, limit in (("name", 100), ("why", 200)):
            object.__setattr__(self, member, harmless(getattr(self, member))[:limit])


def harmless(words: str) -> str:
    """In one line, and without what a terminal would act on."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(words.split()))


Entries = Iterator[Advisory | Unread]


def text(value: Any, what: str, limit: int = 300) -> str:
    """Raises ValueError: it is no text, or a whole book."""
    if not isinstance(value, str) or len(value) > limit or not value.isprintable():
        raise ValueError(f"{what} is no text")
    return value


def mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no mapping")
    return value


def sequence(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{what} is no list")
    return value


def title(value: Any) -> str:
    """The first line, if there is one, without what a terminal would act on."""
    lines = value.strip().splitlines() if isinstance(value, str) else []
    line = "".join(letter if letter.isprintable() else " " for letter in lines[0][: TITLE + 1]) if lines else ""
    return line if len(line) <= TITLE else f"{line[:TITLE]}..."


def names(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text(value, "an alias") for value in values))
