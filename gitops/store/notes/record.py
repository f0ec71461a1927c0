"""The documents on the record of deployments: its entries, and how far the remote has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RecordEntry:
    """An entry: the text of its commit. Its key is its number, in eight digits."""

    commit: str


@dataclass(frozen=True)
class RecordTip:
    """How many entries there are; the commit of ours that the remote had last, as it said (empty: none); and what was
    told last of why it takes no more (empty: it does)."""

    entries: int = 0
    sent: str = ""
    told: str = ""


RECORD: Mapping[type[Any], str] = {RecordEntry: "record/", RecordTip: "record"}
"""Their names (`documents.NAMES`)."""
