"""`--wait CONDITION`: until all boxes that are meant fit it.

In: conditions as words, a look at the boxes. Out: nothing once all fit; else an error when the time is over. Rules:

- `healthy`, `synced`, `running=REVISION`; several: all of them hold at the same time. Nobody meant is an error at once.
- The boxes are chosen anew at each look. A store that is away is an error, as everywhere.

    conditions = [Condition.of("synced"), Condition.of("running=v1.4.0")]
    wait(lambda: boxes, conditions, 600)
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from gitops.cli.showing.watching import pause
from gitops.cli.showing.words import talk
from gitops.errors import TowerosError
from gitops.model import Health, Sync
from gitops.rollout.choosing.choice import LONGEST
from gitops.rollout.choosing.named import COMMIT, is_revision
from gitops.rollout.status import BoxStatus

WaitOption = Annotated[
    list[str] | None,
    typer.Option("--wait", metavar="CONDITION", help="Until all fit: healthy, synced, running=REVISION; repeat it."),
]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0, max=604_800, help="Seconds to wait at most.")]
TIMEOUT = 600.0
LOOK = 1.0
"""Seconds between two looks."""
NAMED = 6
RUNNING = "running="


@dataclass(frozen=True)
class Condition:
    """One word of `--wait`."""

    word: str

    @classmethod
    def of(cls, word: str) -> "Condition":
        """Raises TowerosError: it is none."""
        revision = word.removeprefix(RUNNING)
        if word not in ("healthy", "synced") and (revision == word or not revision or len(word) > LONGEST):
            hint = "healthy, synced, or running=REVISION (a tag, or 7 letters of a commit at least)"
            raise TowerosError(f"--wait {word[:60]!r} is no condition", hint=hint)
        if revision != word and len(revision) < COMMIT and set(revision) <= set("0123456789abcdef"):
            raise TowerosError(f"--wait {word}: a commit needs 7 letters at least", hint="`git rev-parse HEAD`")
        return cls(word)

    def holds(self, status: BoxStatus) -> bool:
        """Whether it fits a box now."""
        if self.word == "healthy":
            return status.health == Health.HEALTHY
        if self.word == "synced":
            return status.sync == Sync.SYNCED
        return is_revision(status.running, self.word.removeprefix(RUNNING))


def wait(look: Callable[[], Sequence[BoxStatus]], conditions: Sequence[Condition], timeout: float) -> None:
    """Raises TowerosError: no box is meant, or the time (seconds) is over."""
    end, said = time.monotonic() + timeout, -1
    asked = " and ".join(each.word for each in conditions)
    while True:
        boxes = look()
        if not boxes:
            raise TowerosError("no box is meant: there is nothing to wait for", hint="`toweros status` lists them")
        missing = [each for each in boxes if not all(condition.holds(each) for condition in conditions)]
        if not missing:
            return
        if len(missing) != said:
            said = len(missing)
            talk.print(f"{len(boxes) - said} of {len(boxes)} boxes: {asked}")
        if time.monotonic() >= end:
            raise TowerosError(f"not {asked} after {timeout:.0f} s: {_names(missing)}", hint=_why(missing))
        pause(min(LOOK, max(end - time.monotonic(), 0.01)))


def _names(boxes: Sequence[BoxStatus]) -> str:
    words = [f"{each.box} ({each.sync}, {each.health})" for each in boxes[:NAMED]]
    return ", ".join(words) + (f" and {len(boxes) - NAMED} more" if len(boxes) > NAMED else "")


def _why(boxes: Sequence[BoxStatus]) -> str:
    first = next((f"{each.box}: {said}" for each in boxes if (said := each.held or each.error or each.fell_back)), "")
    return first or "`toweros status` says more"
