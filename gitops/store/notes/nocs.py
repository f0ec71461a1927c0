"""The document on a site's own server."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class NocContact:
    """What a NOC last said: when by its clock and by ours (Unix seconds), from which address; for how many boxes it
    keeps content, how many of them lack some; how many reports wait there. Its key is the NOC's name."""

    time: int
    seen: int
    address: str = ""
    boxes: int = 0
    lacking: int = 0
    waiting: int = 0
    says: str = ""


NOCS: Mapping[type[object], str] = {NocContact: "nocs/"}
"""Its name (`documents.NAMES`)."""
