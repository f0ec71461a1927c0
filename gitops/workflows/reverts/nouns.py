"""What stopped a rollout, and what is taken back for it. Pure.

Look({"role vm: 1 failed, 0 may be": {"site-7": How.FAILED}}, {"site-7": state}).boxes      # ["site-7"]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gitops.model import BoxState, Revision
from gitops.rollout.stops import Stops


@dataclass(frozen=True)
class Look:
    """What stopped, and how all the boxes of that are."""

    stops: Stops
    states: Mapping[str, BoxState]

    @property
    def boxes(self) -> list[str]:
        return sorted({box for boxes in self.stops.values() for box in boxes})


@dataclass(frozen=True)
class Blame:
    """`before`: the commit whose files come back; `newest`: the last one that is taken back."""

    before: str
    newest: str


@dataclass(frozen=True)
class Case:
    """`boxes` refuse what `revision` deployed; `platform`: of the fleet."""

    revision: Revision
    blame: Blame
    boxes: Sequence[str]
    platform: str


@dataclass(frozen=True)
class Taken:
    """`subject`: the commit's; `lines`: what is taken back; `stays`: what is not, though it changed, too."""

    commit: str
    subject: str
    lines: tuple[str, ...]
    stays: tuple[str, ...]
