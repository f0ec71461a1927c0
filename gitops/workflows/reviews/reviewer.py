"""What is written on the forge, and when: a plan under each pull request, the rollout on the commit that deploys.

In: a `Forge`, a planner (pull request -> `Planned`), a memory that outlives us (the store's documents). Rules: a head
that was planned is not planned again; nothing is written twice; so many pull requests a round, those that
were looked at longest ago first; what is wrong with one is written there, and the next one has its turn; a forge
that is away ends the round.

    Reviewer(forge, planner, store, link).round("main", deployment)
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Protocol

import structlog

from gitops.errors import FleetError, ForgeError, TowerosError
from gitops.forges.forge import COMMAND, DEPLOY, PLAN, Forge, Pull, State, Status
from gitops.model import sha256
from gitops.review.markdown import LIMIT, markdown, marker, quote
from gitops.review.nouns import Ruling, Summary
from gitops.review.text import headline
from gitops.store.notes.documents import ForgeMemory, ReviewedPull, ShownDeployment

log = structlog.get_logger(__name__)

PER_ROUND = 5
"""Pull requests that are planned in one round."""
ROUND = 60.0
"""Seconds after which a round plans no other one: how far the rollout is waits for the next round."""
MARK = marker("plan")
NEW = ReviewedPull()
"""A pull request that nothing was written about yet."""
SIGN = "By itself, this commit would not deploy. What deploys is the merge: whoever makes it signs it."


class Memory(Protocol):
    """What stays (the store's documents)."""

    def get(self, kind: type[ForgeMemory]) -> ForgeMemory | None:
        """What was written last; None: nothing yet."""

    def put(self, document: ForgeMemory) -> None:
        """Keep it."""


Planner = Callable[[Pull, bool], Summary]
"""(pull request, whether to build it) -> its plan; raises TowerosError for what is wrong with it."""


@dataclass(frozen=True)
class Deployment:
    """How far the deployed commit is. `failed`: boxes that went back from it; `held` ones are not counted."""

    commit: str
    healthy: int
    total: int
    failed: tuple[str, ...] = ()
    held: int = 0
    error: str = ""

    def status(self, link: str) -> Status:
        """`12/14 boxes healthy`: pending until all are; failure as soon as one went back."""
        counted = f"{self.healthy}/{self.total} boxes healthy" + (f", {self.held} held" if self.held else "")
        if self.error:
            return Status(DEPLOY, State.FAILURE, self.error, link)
        if self.failed:
            more = f" and {len(self.failed) - 1} more" if len(self.failed) > 1 else ""
            return Status(DEPLOY, State.FAILURE, f"{counted}; {self.failed[0]}{more} went back", link)
        return Status(DEPLOY, State.SUCCESS if self.healthy == self.total else State.PENDING, counted, link)


class Reviewer:
    """Speaks on one forge; `link` is where people see more."""

    def __init__(self, forge: Forge, planner: Planner, memory: Memory, link: str = "") -> None:
        self._forge, self._planner, self._memory, self._link = forge, planner, memory, link

    def round(self, branch: str, deployment: Deployment | None = None) -> None:
        """One look at the forge.

        Raises:
            ForgeError: it is away, wants us to wait, or refused something; what was written stays remembered.
        """
        memory = self._memory.get(ForgeMemory) or ForgeMemory()
        reviewed = dict(memory.pulls)
        refusals: list[ForgeError] = []
        try:
            if deployment:
                with _noted(refusals):
                    memory = replace(memory, deploy=self._show_deployment(deployment, memory.deploy))
            pulls = list(self._forge.pulls(branch))
            numbers = {pull.number for pull in pulls}
            reviewed = {number: each for number, each in reviewed.items() if number in numbers}
            news = [pull for pull in pulls if not _is_done(pull, reviewed.get(pull.number, NEW))]
            end = time.monotonic() + ROUND
            turn = 1 + max((each.turn for each in reviewed.values()), default=0)
            for pull in sorted(news, key=lambda pull: _turn(pull, reviewed))[:PER_ROUND]:
                if time.monotonic() > end:
                    break
                before = replace(reviewed.get(pull.number, NEW), turn=turn)
                reviewed[pull.number] = before
                with _noted(refusals):
                    reviewed[pull.number] = self._review(pull, before)
                self._remember(replace(memory, pulls=dict(reviewed)))
        finally:
            self._remember(replace(memory, pulls=reviewed))
        if refusals:
            raise refusals[0]

    def _show_deployment(self, deployment: Deployment, before: ShownDeployment | None) -> ShownDeployment:
        status = deployment.status(self._link)
        shown = ShownDeployment(deployment.commit, **asdict(status))
        if before and before.commit != deployment.commit and State(before.state) is State.PENDING:
            over = f"superseded by {deployment.commit[:12]}"
            self._forge.status(before.commit, Status(DEPLOY, State.ERROR, over, self._link))
        if shown != before:
            self._forge.status(deployment.commit, status)
        return shown

    def _review(self, pull: Pull, before: ReviewedPull) -> ReviewedPull:
        """Plan a head that is new, or that a maintainer meanwhile wants built; returns what to remember."""
        build = self._forge.approved(pull)
        planned = before.head == pull.head and (before.built or not build)
        if planned:
            return replace(before, updated=pull.updated)
        try:
            summary = self._planner(pull, build)
            text, status = self._words(pull, summary), self._status(summary)
        except ForgeError:
            raise
        except TowerosError as error:
            log.info("review.mistakes", pull=pull.number, error=error.message)
            text, status = mistakes(error), Status(PLAN, State.FAILURE, _short(error), self._link)
        if sha256(text.encode()) != before.text:
            self._forge.comment(pull, MARK, text)
        self._forge.status(pull.head, status)
        return ReviewedPull(pull.head, sha256(text.encode()), build, pull.updated, before.turn)

    def _status(self, summary: Summary) -> Status:
        return Status(PLAN, State.SUCCESS, "No changes." if summary.empty else headline(summary), self._link)

    def _words(self, pull: Pull, summary: Summary) -> str:
        ask = f"To have this commit built and measured, a maintainer writes `{COMMAND} {pull.head}`."
        notes = [] if summary.exact or summary.empty else [ask]
        notes += [SIGN] if summary.verdict.state == Ruling.REFUSED else []
        return markdown(summary, MARK, "\n\n".join(notes))

    def _remember(self, memory: ForgeMemory) -> None:
        if memory != self._memory.get(ForgeMemory):
            self._memory.put(memory)


def mistakes(error: TowerosError) -> str:
    """The comment under a pull request that cannot be planned: every mistake that there is room for."""
    problems = [str(problem) for problem in error.problems] if isinstance(error, FleetError) else [error.message]
    problems += [error.hint] if error.hint else []
    lines, left = [MARK, "### TowerOS plan", "", "**It cannot be deployed as it is.**", ""], LIMIT - 500
    for problem in problems:
        line = f"- {quote(problem)}"
        left -= len(line.encode()) + 1
        if left < 0:
            lines.append("- and more; `toweros validate` says all")
            break
        lines.append(line)
    return "\n".join([*lines, ""])


def _turn(pull: Pull, reviewed: Mapping[int, ReviewedPull]) -> tuple[bool, int, int]:
    """Who was looked at longest ago comes first, whatever came of it: none of them can hold up another. Strangers wait
    for those who may write to the repository: anybody may open a hundred, each of which takes its minute."""
    return pull.fork, reviewed.get(pull.number, NEW).turn, pull.number


def _is_done(pull: Pull, before: ReviewedPull) -> bool:
    return (before.head, before.updated) == (pull.head, pull.updated)


@contextmanager
def _noted(refusals: list[ForgeError]) -> Iterator[None]:
    """A refusal of one thing is noted, and the rest goes on; a forge that is away ends the round."""
    try:
        yield
    except ForgeError as error:
        if error.wait:
            raise
        refusals.append(error)


def _short(error: TowerosError) -> str:
    if isinstance(error, FleetError):
        return f"{len(error.problems)} mistake{'s' if len(error.problems) != 1 else ''} in the fleet repo"
    return error.message.splitlines()[0]
