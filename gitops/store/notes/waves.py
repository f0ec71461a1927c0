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
    it ends with, empty: none does. `promoted`: the contents of waves for which nobody waits any more; `texts`: wave ->
    what Git said last of that, which is done."""

    who: str = ""
    why: str = ""
    since: int = 0
    revision: str = ""
    promoted: tuple[Digest, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reverts:
    """By the deployed commit (its id) that stopped, what was proposed; and the last commits that were deployed."""

    proposed: Mapping[str, Revert] = field(default_factory=dict)
    deployed: tuple[str, ...] = ()


@dataclass(frozen=True)
class RetriedContents:
    """Box -> the content that failed there when an operator said to try it again: the word is about no other."""

    rows: Mapping[str, Digest] = field(default_factory=dict)


@dataclass(frozen=True)
class Aside:
    """What pins and floors have done. `tags`: the commit that a tag meant when it was named first; `made`: release (its
    digest) -> the earlier commit that it was made of; `passed`: box -> floor -> the content that it was Healthy on
    there; `says`: box -> what keeps it from the newest."""

    tags: Mapping[str, str] = field(default_factory=dict)
    made: Mapping[Digest, str] = field(default_factory=dict)
    passed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    says: Mapping[str, str] = field(default_factory=dict)


WAVES: Mapping[type[object], str] = {
    Waves: "waves",
    Steered: "rollout",
    Reverts: "reverts",
    RetriedContents: "retried-contents",
    Aside: "aside",
}
"""Their names (`documents.NAMES`)."""
