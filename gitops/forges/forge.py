"""What a forge can do for us, and no more: list pull requests, open and close our own, keep one comment, set a commit
status, name maintainers.

GitHub is one implementation (`github`); GitLab and Gitea have the same things under other names. Texts that come
from a forge are strangers' words. Every method may raise `ForgeError`; none is called while a deployment waits.

    for pull in forge.pulls("main"):
        forge.comment(pull, marker("plan"), text)
        forge.status(pull.head, Status(PLAN, State.SUCCESS, "2 boxes to update", link))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

PLAN, DEPLOY = "toweros/plan", "toweros/deploy"
"""The names of our two commit statuses."""
COMMAND = "/toweros build"
"""What a maintainer writes, with the whole commit id behind it, to have a pull request built."""


@dataclass(frozen=True)
class Pull:
    """An open pull request. `fork`: its commits come from another repository; `ref` is where the forge keeps them."""

    number: int
    head: str
    branch: str
    fork: bool
    ref: str
    updated: str = ""
    """Changes with every comment: whether it is worth asking for them."""


class State(StrEnum):
    """Of a commit status."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


@dataclass(frozen=True)
class Status:
    """A commit status. `description` is one line; what is too long for the forge is cut off."""

    context: str
    state: State
    description: str
    link: str = ""


class Forge(Protocol):
    """One repository on a forge."""

    def pulls(self, branch: str) -> Sequence[Pull]:
        """The open pull requests that want to go to a branch (empty: to any), oldest first."""

    def comment(self, pull: Pull, mark: str, text: str) -> None:
        """Make `text` our one comment there: edited in place where it is there (it begins with `mark`), else made."""

    def status(self, commit: str, status: Status) -> None:
        """Set a status of a commit; the newest of a context counts."""

    def propose(self, branch: str, target: str, title: str, text: str) -> int:
        """The open pull request from a branch of the repository: made, or brought up to date. Returns its number."""

    def proposed(self, branch: str, target: str) -> int:
        """The newest pull request from a branch of the repository, open or not; 0: there never was one."""

    def withdraw(self, number: int) -> None:
        """Close a pull request, if it is still open."""

    def approved(self, pull: Pull) -> bool:
        """Whether somebody who may write to the repository said `/toweros build COMMIT` for its very head."""
