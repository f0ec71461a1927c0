"""The documents on how far a rollout has come, what operators said of it, and what was proposed to be taken back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gitops.model.digest import Digest
from gitops.model.rollout.reverts import Revert
from gitops.model.rollout.waves import WaveState


@dataclass(frozen=True)
class Waves:
    """The waves as the last pass saw them that had boxes waiting, in their order."""

    states: tuple[WaveState, ...] = ()


@dataclass(frozen=True)
class Steered:
    """`who` paused the rollout, `why`, and since when (Unix seconds; 0: nobody did); `revision`: the one that
    it ends with, empty: none does. `promoted`: the contents of waves for which nobody waits any more."""

    who: str = ""
    why: str = ""
    since: int = 0
    revision: str = ""
    promoted: tuple[Digest, ...] = ()


@dataclass(frozen=True)
class Reverts:
    """By the deployed commit (its id) that stopped, what was proposed; and the last commits that were deployed."""

    proposed: Mapping[str, Revert] = field(default_factory=dict)
    deployed: tuple[str, ...] = ()


WAVES: Mapping[type[object], str] = {Waves: "waves", Steered: "rollout", Reverts: "reverts"}
"""Their names (`documents.NAMES`)."""
