"""The documents from which people find their way: where each box stands, how far commits came, what was sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gitops.model.rollout.course import Course


@dataclass(frozen=True)
class Place:
    """What Git says of a box that people look for it by, and how often it shall look at the server (`poll`, seconds).
    `site` is one line."""

    role: str = ""
    site: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    poll: int = 30


@dataclass(frozen=True)
class Roster:
    """The boxes of the deployed commit, by name, as of the last pass."""

    rows: Mapping[str, Place] = field(default_factory=dict)


@dataclass(frozen=True)
class Traffic:
    """Day (`2026-11-29`, UTC) -> bytes that boxes fetched for what they began to run on it."""

    rows: Mapping[str, int] = field(default_factory=dict)


DIRECTORY: Mapping[type[object], str] = {Roster: "roster", Course: "course/", Traffic: "traffic"}
"""Their names (`documents.NAMES`)."""
