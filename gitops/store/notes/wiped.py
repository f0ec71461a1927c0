"""The document on boxes that were wiped."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Wiped:
    """Box -> the key (Ed25519, hex) of its machine that said, last of all, that it wipes itself as Git asked."""

    rows: Mapping[str, str] = field(default_factory=dict)


WIPED: Mapping[type[object], str] = {Wiped: "wiped"}
"""Its name (`documents.NAMES`)."""
