"""The documents on whose turn it is."""

from collections.abc import Mapping

from gitops.model.rollout.turns import BoxTurn

TURNS: Mapping[type[object], str] = {BoxTurn: "turn/"}
"""Their names (`documents.NAMES`)."""
