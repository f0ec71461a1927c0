"""A reviewer at a forge that is played: what it says there, with a clock, a memory and a planner of the test's own."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gitops.forges.forge import Pull
from gitops.forges.github import HEADERS, GitHub
from gitops.forges.http import Api
from gitops.model import Action
from gitops.review.nouns import Change, Group, Summary
from gitops.store.notes.documents import ForgeMemory, decode, encode
from gitops.workflows.reviews.reviewer import Deployment, Reviewer
from tests.simulators.forge import REPOSITORY, Forge, forge

TOKEN_TEXT = "secret-token"
ONE, TWO = "1" * 40, "2" * 40


class Notes:
    """A memory that forgets at the test's end."""

    def __init__(self) -> None:
        self.text = ""

    def get(self, kind: type[ForgeMemory]) -> ForgeMemory | None:
        return decode(kind, "", self.text) if self.text else None

    def put(self, document: ForgeMemory) -> None:
        self.text = encode(document)


@dataclass
class Desk:
    """A reviewer before a forge, with a clock of its own and a planner that says what it is told."""

    hub: Forge
    now: float = 1_790_000_000.0
    token: str = TOKEN_TEXT
    notes: Notes = field(default_factory=Notes)
    planned: list[tuple[int, bool]] = field(default_factory=list)
    answers: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.api = Api(self.hub.url, lambda: self.token, HEADERS, lambda: self.now)
        self.github = GitHub(REPOSITORY, self.api)
        self.reviewer = Reviewer(self.github, self._plan, self.notes, "https://status.example/")

    def round(self, deployment: Deployment | None = None) -> None:
        self.reviewer.round("main", deployment)

    def _plan(self, pull: Pull, build: bool) -> Summary:
        self.planned.append((pull.number, build))
        answer = self.answers.get(pull.number, summary())
        if isinstance(answer, BaseException):
            raise answer
        return replace(answer, exact=build) if isinstance(answer, Summary) else summary()


def summary(reason: str = "pkg/hello changed") -> Summary:
    group = Group(("one", "two"), Action.UPDATE, Change.services, reason, (1000, 1000), True)
    return Summary("main@sha1:" + "a" * 40, "topic@sha1:" + "b" * 40, (), (group,), digest="cd" * 32)


@pytest.fixture
def hub() -> Iterator[Forge]:
    with forge() as running:
        yield running


@pytest.fixture
def desk(hub: Forge) -> Desk:
    return Desk(hub)
