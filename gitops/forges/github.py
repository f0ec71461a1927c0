"""GitHub's REST API (version 2022-11-28), as a `Forge`.

In: `owner/name` and an `Api`. Rules: our comment is the one that begins with our marker and that the token's own
account wrote: anybody may write a marker. Who may approve a build is asked of the repository's permissions, not of the
comment's word. The token needs: contents read, pull requests and commit statuses write (fine-grained), or `repo`.

    GitHub("octo/fleet", Api(URL, token, HEADERS)).pulls("main")
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from gitops.errors import ForgeError
from gitops.forges.forge import COMMAND, Pull, Status
from gitops.forges.http import Api
from gitops.model import Json

URL = "https://api.github.com"
HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
DESCRIPTION = 140
"""Characters of a status's description."""
HINT = "is `forge_url` the API of the forge that `forge` names? See docs/review.md"
WRITERS = ("admin", "maintain", "write")
_COMMIT = re.compile("[0-9a-f]{40}")
NAME = re.compile("[A-Za-z0-9-]+(\\[bot\\])?")


class GitHub:
    """Implements `Forge`."""

    writers: tuple[str, ...] = WRITERS
    """Permissions with which somebody may have a pull request built."""
    name = NAME
    """What an account's name can be."""

    def __init__(self, repository: str, api: Api) -> None:
        self._path, self._api = f"/repos/{repository}", api
        self._us: str | None = None
        self._comments: dict[int, int] = {}

    def pulls(self, branch: str) -> Sequence[Pull]:
        """See `Forge.pulls`."""
        query = {"state": "open", "sort": "created", "direction": "asc", "per_page": "100"}
        query |= {"base": branch} if branch else {}
        return [pull_of(item) for item in self._api.pages(f"{self._path}/pulls", query)]

    def comment(self, pull: Pull, mark: str, text: str) -> None:
        """See `Forge.comment`."""
        ours = self._comments.get(pull.number) or self._find(pull, mark)
        if ours:
            self._comments.pop(pull.number, None)  # somebody may have deleted it: then it is looked for again
            self._api.send("PATCH", f"{self._path}/issues/comments/{ours}", {"body": text})
            self._comments[pull.number] = ours
            return
        made = self._api.send("POST", f"{self._path}/issues/{pull.number}/comments", {"body": text})
        self._comments[pull.number] = int(member(made, "id"))

    def status(self, commit: str, status: Status) -> None:
        """See `Forge.status`."""
        line = status.description.splitlines()[0] if status.description else ""
        short = line if len(line) <= DESCRIPTION else line[: DESCRIPTION - 3] + "..."
        body = {"state": status.state, "context": status.context, "description": short}
        body |= {"target_url": status.link} if status.link else {}
        self._api.send("POST", f"{self._path}/statuses/{commit}", body)

    def propose(self, branch: str, target: str, title: str, text: str) -> int:
        """See `Forge.propose`."""
        said = {"title": title, "body": text}
        existing = next(self._from(branch, target, "open"), None)
        if existing is None:
            made = self._api.send("POST", f"{self._path}/pulls", {**said, "head": branch, "base": target})
            return int(member(made, "number"))
        if any(existing.get(name) != value for name, value in said.items()):
            self._api.send("PATCH", f"{self._path}/pulls/{member(existing, 'number')}", said)
        return int(member(existing, "number"))

    def proposed(self, branch: str, target: str) -> int:
        """See `Forge.proposed`."""
        return max((int(member(item, "number")) for item in self._from(branch, target, "all")), default=0)

    def withdraw(self, number: int) -> None:
        """See `Forge.withdraw`."""
        if member(self._api.get(f"{self._path}/pulls/{number}"), "state") == "open":
            self._api.send("PATCH", f"{self._path}/pulls/{number}", {"state": "closed"})

    def approved(self, pull: Pull) -> bool:
        """See `Forge.approved`."""
        wanted = f"{COMMAND} {pull.head}"
        comments = (each for each in self._issue_comments(pull) if wanted in str(each.get("body") or "").splitlines())
        return any(self._may_write(str(member(each, "user", "login"))) for each in comments)

    def _from(self, branch: str, target: str, state: str) -> Iterator[Json]:
        """Pull requests from a branch of the repository itself."""
        owner = self._path.split("/")[2]
        query = {"state": state, "head": f"{owner}:{branch}", "base": target}
        return self._api.pages(f"{self._path}/pulls", query)

    def _may_write(self, login: str) -> bool:
        if not self.name.fullmatch(login):
            return False
        try:
            answer = self._api.get(f"{self._path}/collaborators/{quote(login)}/permission")
        except ForgeError as error:
            if error.wait:
                raise
            return False  # 404: no collaborator at all
        return member(answer, "permission") in self.writers

    def _find(self, pull: Pull, mark: str) -> int:
        marked = [each for each in self._issue_comments(pull) if str(each.get("body") or "").startswith(mark)]
        ours = self._login() if marked else ""
        return next((int(each["id"]) for each in marked if member(each, "user", "login") == ours), 0)

    def _issue_comments(self, pull: Pull) -> Iterator[Json]:
        return self._api.pages(f"{self._path}/issues/{pull.number}/comments", {"per_page": "100"})

    def _login(self) -> str:
        """The account that the token belongs to."""
        if self._us is None:
            self._us = str(member(self._api.get("/user"), "login"))
        return self._us


def pull_of(item: Json) -> Pull:
    head, number = str(member(item, "head", "sha")), int(member(item, "number"))
    if not _COMMIT.fullmatch(head):
        raise ForgeError(f"pull request {number}: {head[:60]!r} is no commit", hint=HINT)
    source, target = member(item, "head")["repo"], member(item, "base", "repo", "full_name")
    fork = source is None or source.get("full_name") != target
    return Pull(
        number,
        head,
        str(member(item, "base", "ref")),
        fork,
        f"refs/pull/{number}/head",
        str(item.get("updated_at", "")),
    )


def member(value: Any, *keys: str) -> Any:
    """A member of an answer.

    Raises:
        ForgeError: it is not there: this is no answer of its API.
    """
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            raise ForgeError(f"an answer has no `{'.'.join(keys)}`", hint=HINT)
        value = value[key]
    return value
