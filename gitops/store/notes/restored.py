"""The document on what boxes may have seen that this database does not know of."""

from dataclasses import dataclass


@dataclass(frozen=True)
class VersionFloor:
    """All metadata have at least this version once anything is signed again; `at_once`: with the next pass, due or not.

    It is the Unix time at which it was raised: nobody signs more often than once a second.
    """

    version: int = 0
    at_once: bool = False
