"""The documents on whose turn it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gitops.model.rollout.turns import BoxTurn, Lease


@dataclass(frozen=True)
class Permissions:
    """Box -> the permission to restart that the last pass signed for it."""

    rows: Mapping[str, Lease] = field(default_factory=dict)


TURNS: Mapping[type[object], str] = {BoxTurn: "turn/", Permissions: "permissions"}
"""Their names (`documents.NAMES`)."""
