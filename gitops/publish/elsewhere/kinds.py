"""What a path below the update server is: its type, how long caches keep it, and when it appears at a place. Pure.

kind_of("metadata/timestamp.json")      # Kind(type="application/json", cache="no-cache", rank=5)
kind_of("toweros.html")                 # None: nothing of ours
"""

import re
from dataclasses import dataclass

FOREVER = "public, max-age=31536000, immutable"
FRESH = "no-cache"
JSON, BYTES = "application/json", "application/octet-stream"
TIMESTAMP = "metadata/timestamp.json"
ROOTS = 2


@dataclass(frozen=True)
class Kind:
    """`rank`: files of a lower one are at a place before any of a higher one is put there."""

    type: str
    cache: str
    rank: int

    @property
    def changes(self) -> bool:
        """Whether there can be another file under the same path."""
        return self.cache == FRESH

    @property
    def stays(self) -> bool:
        """Roots: an old client walks through them all, also through those that a restored store does not know yet."""
        return self.rank == ROOTS


HEX = "[0-9a-f]{64}"
PART = "[a-z0-9][a-z0-9.-]*"
KINDS = (
    (re.compile(rf"layers/{HEX}(?:\.zst)?|deltas/{HEX}/{HEX}\.zst(?:\.zst)?"), Kind(BYTES, FOREVER, 0)),
    (re.compile(rf"targets/{PART}/{HEX}\.release\.json"), Kind(BYTES, FOREVER, 0)),
    (re.compile(rf"targets/{PART}/{HEX}\.(?:uki|addon|loader)\.efi"), Kind(BYTES, FOREVER, 0)),
    (re.compile(rf"attestations/{HEX}\.json"), Kind(JSON, FRESH, 1)),
    (re.compile(rf"metadata/(?:{PART}/)*[0-9]+\.root\.json"), Kind(JSON, FOREVER, ROOTS)),
    (re.compile(rf"metadata/(?:{PART}/)*timestamp\.json"), Kind(JSON, FRESH, 5)),
    (re.compile(rf"metadata/(?:{PART}/)*[0-9]+\.snapshot\.json"), Kind(JSON, FOREVER, 4)),
    (re.compile(rf"metadata/(?:{PART}/)*[0-9]+\.{PART}\.json"), Kind(JSON, FOREVER, 3)),
)
"""The order of metadata is TUF's (7.1): who sees a timestamp finds all that it leads to."""


def kind_of(path: str) -> Kind | None:
    """What it is; None: boxes ask for nothing of that name."""
    return next((kind for pattern, kind in KINDS if pattern.fullmatch(path)), None)
