"""The documents on what boxes report beside their state: what operators ask for, and what small reports build on."""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

LARGEST = 1 << 20
"""Bytes of a report that is unpacked: more than one may have."""


@dataclass(frozen=True)
class BoxFacts:
    """Of the last report that had facts: `poll` is the seconds between two looks at the server, `every` those until the
    next report at the latest. `agent`, `kernel`: their versions; `addresses` without their networks. Its key is the
    box."""

    poll: int
    every: int
    agent: str = ""
    kernel: str = ""
    addresses: tuple[str, ...] = ()
    proves: bool = False
    """Whether its agent can prove itself where it fetches."""


@dataclass(frozen=True)
class WholeReport:
    """The last one that came whole: the beginning of its SHA-256, and its text (zlib, base64). Its key is the box."""

    name: str
    packed: str

    @classmethod
    def of(cls, name: str, text: str) -> "WholeReport":
        return cls(name, base64.b64encode(zlib.compress(text.encode(), 1)).decode())

    @property
    def text(self) -> str:
        """Raises `ValueError` when it is damaged."""
        try:
            return zlib.decompressobj().decompress(base64.b64decode(self.packed), LARGEST).decode()
        except zlib.error as error:
            raise ValueError(f"the kept report is damaged: {error}") from error


REPORTED: Mapping[type[object], str] = {BoxFacts: "facts/", WholeReport: "whole-report/"}
"""Their names (`documents.NAMES`)."""
