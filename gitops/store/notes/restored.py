"""The documents on what this database cannot know: what boxes have seen since, and what time it is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class VersionFloor:
    """All metadata have at least this version once anything is signed again; `at_once`: with the next pass, due or not.

    It is the Unix time at which it was raised: nobody signs more often than once a second.
    """

    version: int = 0
    at_once: bool = False


@dataclass(frozen=True)
class RightClock:
    """When (Unix seconds) somebody said that this machine's clock was right, though nothing was signed for long."""

    said: int = 0
