"""What is done to one box, done to several: one act, with their number, and a line for each of them.

In: who acts, names, in which words they were meant. Out: for whom it is new, and why others refused. Rules: the line of
the whole says how many are meant and how it ended; each box has its own line and event, as if it had been named alone;
one that refuses keeps no other from it, and a store that is away ends all of it.

    hold(acting, ["site-7", "site-9"], "site=depot", "the mast is open").new      # ["site-7", "site-9"]
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from gitops.errors import StoreError, TowerosError
from gitops.rollout import holds
from gitops.store import Store
from gitops.store.audit.log import Doing
from gitops.workflows.acting import boxes as one
from gitops.workflows.acting.acting import Acting, reason

Act = Callable[[Acting, str, str], bool]
"""To one box, why; False: that was so before."""
NAMED = 3
"""Boxes that refused, in the line of the whole."""


class Within(Acting):
    """Within an act that has its line already: one line for each box, as it has ended."""

    @contextmanager
    def doing(self, what: str, subject: str, why: str) -> Iterator[Doing]:
        """Raises StoreError: it cannot be written."""
        doing = Doing()
        try:
            yield doing
        except TowerosError as error:
            doing.outcome = f"not done: {error.message}"
            raise
        finally:
            self.happened(what, subject, why, doing.outcome, self.now)


@dataclass(frozen=True)
class Done:
    """`new`: who it is new for; `before`: who needed nothing; `refused`: box -> why."""

    new: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    refused: dict[str, TowerosError] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """How it ended, for the audit log."""
        parts = [boxes_in_words(len(self.new))]
        parts += [f"{len(self.before)} needed nothing"] * bool(self.before)
        some = ", ".join(list(self.refused)[:NAMED])
        parts += [f"{len(self.refused)} refused ({some}{', ...' if len(self.refused) > NAMED else ''})"] * bool(some)
        return f"done: {'; '.join(parts)}"


def hold(acting: Acting, boxes: Sequence[str], meant: str, why: str) -> Done:
    """Each of them, until it is released. Raises TowerosError: no reason. StoreError: it cannot be written down."""
    return _each(acting, "boxes.hold", (boxes, meant), reason(why), one.hold)


def release(acting: Acting, boxes: Sequence[str], meant: str, why: str = "") -> Done:
    """Those of them that `hold` holds; the others need nothing. Raises StoreError."""
    held = holds.operators(acting.store)
    free = [box for box in boxes if box not in held]
    return _each(acting, "boxes.release", (boxes, meant), " ".join(why.split()), _release, free)


def retry(acting: Acting, boxes: Sequence[str], meant: str, why: str) -> Done:
    """What failed there, once; who failed on nothing needs nothing. Raises as `hold` does."""
    failed = {*failed_among(acting.store, boxes)}
    well = [box for box in boxes if box not in failed]
    why = reason(why, hint="say with --why what was outside of the release")
    return _each(acting, "boxes.retry", (boxes, meant), why, one.retry, well)


def failed_among(store: Store, boxes: Sequence[str]) -> list[str]:
    """Those that failed on what they are to run now."""
    states = {state.name: state for state in store.states.all()}
    return [box for box in boxes if box in states and states[box].wanted.content in states[box].failed]


def boxes_in_words(count: int) -> str:
    """Their number."""
    return "1 box" if count == 1 else f"{count} boxes"


def _release(acting: Acting, box: str, why: str) -> bool:
    one.release(acting, box, why)
    return True


def _each(
    acting: Acting, what: str, which: tuple[Sequence[str], str], why: str, act: Act, nothing: Sequence[str] = ()
) -> Done:
    """`which`: names, and in which words they were meant; `nothing`: those of them that need nothing."""
    (boxes, meant), still = which, {*nothing}
    done = Done(before=list(nothing))
    with acting.doing(what, f"{boxes_in_words(len(boxes))}: {meant}", why) as doing:
        within = Within(acting.store, acting.log, acting.by, acting.now)
        for box in [box for box in boxes if box not in still]:
            try:
                (done.new if act(within, box, why) else done.before).append(box)
            except StoreError:
                raise
            except TowerosError as error:
                done.refused[box] = error
        doing.outcome = done.words
    return done
