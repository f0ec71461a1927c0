"""The documents on sessions of people on boxes: who asked for which, and by what each side proves that it is meant."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One session. `serial` is its certificate's, `certificate` the line without its kind, `proof` the SHA-256 of what
    the person's side says; `asked`, `until`: Unix seconds, within which the box comes. `over`: nobody comes any more.
    """

    serial: int
    kind: str
    who: str
    reason: str
    certificate: str
    proof: str
    asked: int
    until: int
    over: bool = False


@dataclass(frozen=True)
class RemoteSessions:
    """Those that were asked for last. Its key is the box."""

    sessions: tuple[Asked, ...] = ()


REMOTE: Mapping[type[Any], str] = {RemoteSessions: "remote/"}
"""Its name (`documents.NAMES`)."""
