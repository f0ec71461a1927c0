"""What becomes of a rollout that stopped: what fleet.yaml wants, and a proposal to take back what stopped it.

Revert("toweros/revert-5c1e0a...", commit, since=now, pull=7)
"""

from dataclasses import dataclass
from enum import StrEnum


class OnStop(StrEnum):
    """`rollout.on_stop` of fleet.yaml."""

    NOTHING = "nothing"
    PROPOSE = "propose"


@dataclass(frozen=True)
class Revert:
    """`branch` on the remote has `commit` (empty: none was made), known since `since` (Unix seconds). `pushed`: it is
    there; `pull`: the pull request, 0: none; `note`: why there is none, or none any more; `ended`: it is never looked
    at again."""

    branch: str
    commit: str = ""
    since: int = 0
    pushed: bool = False
    pull: int = 0
    note: str = ""
    ended: bool = False

    def __str__(self) -> str:
        if self.note:
            return f"{self.branch}: {self.note}"
        shown = f", pull request {self.pull}" if self.pull else ""
        return f"{self.branch}: {f'proposed to take back what stopped it{shown}' if self.pushed else 'on its way'}"
