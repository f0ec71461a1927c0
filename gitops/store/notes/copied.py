"""The document on a place where else is published: until when it has all, why not, and what it has too many."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CopiedTo:
    """`done`: when the last pass over it began that came to its end (Unix seconds; 0: none did). `error`: why the last
    one did not, since `since`. `gone`: since when the server does not serve what it still has. Its key is the place."""

    done: int = 0
    error: str = ""
    since: int = 0
    gone: Mapping[str, int] = field(default_factory=dict)


COPIED: Mapping[type[object], str] = {CopiedTo: "copied/"}
"""Its name (`documents.NAMES`)."""
