"""GitLab's REST API (v4), as a `Forge`: merge requests, their notes, commit statuses.

In: the project's path and an `Api` whose base ends in `/api/v4`. Rules:

- Our note is the one that begins with our marker and that the token's own account wrote, and no note of the system's.
- Who may approve a build is a member of the project (or of a group above it) from `DEVELOPER` on, asked by number.
- GitLab refuses a status that is already so ("Cannot transition"): then it is read, and it is well if it is ours.
- The token (a project access token, role Developer, scope `api`) is sent as `Authorization: Bearer`.

    GitLab("group/sub/fleet", Api(URL, token)).pulls("main")
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from gitops.errors import ForgeError
from gitops.forges.forge import COMMAND, Pull, State, Status
from gitops.forges.github import HINT, member
from gitops.forges.http import Api
from gitops.model import Json

URL = "https://gitlab.com/api/v4"
DESCRIPTION = 255
"""Characters of a status's description."""
DEVELOPER = 30
"""The least access level with which somebody may push."""
STATES = {State.PENDING: "pending", State.SUCCESS: "success", State.FAILURE: "failed", State.ERROR: "canceled"}
ALREADY = "Cannot transition status"
_COMMIT = re.compile("[0-9a-f]{40}")


class GitLab:
    """Implements `Forge`."""

    def __init__(self, project: str, api: Api) -> None:
        self._path, self._api = f"/projects/{quote(project, safe='')}", api
        self._merges = f"{self._path}/merge_requests"
        self._us = 0
        self._notes: dict[int, int] = {}

    def pulls(self, branch: str) -> Sequence[Pull]:
        """See `Forge.pulls`. One whose branch is gone has no head, and is none."""
        query = {"state": "opened", "order_by": "created_at", "sort": "asc", "per_page": "100"}
        query |= {"target_branch": branch} if branch else {}
        return [_pull(item) for item in self._api.pages(self._merges, query) if item.get("sha")]

    def comment(self, pull: Pull, mark: str, text: str) -> None:
        """See `Forge.comment`."""
        notes = f"{self._merges}/{pull.number}/notes"
        if ours := self._notes.pop(pull.number, 0) or self._find(pull, mark):
            self._api.send("PUT", f"{notes}/{ours}", {"body": text})  # if it is gone: it is looked for the next time
            self._notes[pull.number] = ours
            return
        self._notes[pull.number] = int(member(self._api.send("POST", notes, {"body": text}), "id"))

    def status(self, commit: str, status: Status) -> None:
        """See `Forge.status`."""
        line = status.description.splitlines()[0] if status.description else ""
        short = line if len(line) <= DESCRIPTION else line[: DESCRIPTION - 3] + "..."
        state = STATES[status.state]
        body = {"state": state, "name": status.context, "description": short}
        body |= {"target_url": status.link} if status.link else {}
        try:
            self._api.send("POST", f"{self._path}/statuses/{commit}", body)
        except ForgeError as error:
            if ALREADY not in error.message or not self._is(commit, status.context, state):
                raise

    def propose(self, branch: str, target: str, title: str, text: str) -> int:
        """See `Forge.propose`."""
        said = {"title": title, "description": text}
        existing = next(self._from(branch, target, "opened"), None)
        if existing is None:
            made = self._api.send("POST", self._merges, {**said, "source_branch": branch, "target_branch": target})
            return int(member(made, "iid"))
        number = int(member(existing, "iid"))
        if any(existing.get(name) != value for name, value in said.items()):
            self._api.send("PUT", f"{self._merges}/{number}", said)
        return number

    def proposed(self, branch: str, target: str) -> int:
        """See `Forge.proposed`."""
        return max((int(member(item, "iid")) for item in self._from(branch, target, "all")), default=0)

    def withdraw(self, number: int) -> None:
        """See `Forge.withdraw`."""
        if member(self._api.get(f"{self._merges}/{number}"), "state") == "opened":
            self._api.send("PUT", f"{self._merges}/{number}", {"state_event": "close"})

    def approved(self, pull: Pull) -> bool:
        """See `Forge.approved`."""
        wanted = f"{COMMAND} {pull.head}"
        notes = (each for each in self._said(pull) if wanted in str(each.get("body") or "").splitlines())
        return any(self._may_write(int(member(each, "author", "id"))) for each in notes)

    def _may_write(self, account: int) -> bool:
        try:
            found = self._api.get(f"{self._path}/members/all/{account}")
        except ForgeError as error:
            if error.wait:
                raise
            return False  # 404: no member at all
        return member(found, "state") == "active" and int(member(found, "access_level")) >= DEVELOPER

    def _is(self, commit: str, context: str, state: str) -> bool:
        """Whether the newest status of this name has this state."""
        found = self._api.pages(f"{self._path}/repository/commits/{commit}/statuses", {"name": context})
        ours = [each for each in found if each.get("name") == context]
        return bool(ours) and max(ours, key=lambda each: int(member(each, "id")))["status"] == state

    def _from(self, branch: str, target: str, state: str) -> Iterator[Json]:
        """Merge requests from a branch of the project itself: a fork may have one of the same name."""
        query = {"state": state, "source_branch": branch, "target_branch": target, "per_page": "100"}
        return (item for item in self._api.pages(self._merges, query) if not _is_fork(item))

    def _find(self, pull: Pull, mark: str) -> int:
        marked = [each for each in self._said(pull) if str(each.get("body") or "").startswith(mark)]
        ours = self._account() if marked else 0
        return next((int(member(each, "id")) for each in marked if member(each, "author", "id") == ours), 0)

    def _said(self, pull: Pull) -> Iterator[Json]:
        """What people wrote there, oldest first."""
        query = {"sort": "asc", "order_by": "created_at", "per_page": "100"}
        notes = self._api.pages(f"{self._merges}/{pull.number}/notes", query)
        return (each for each in notes if not each.get("system"))

    def _account(self) -> int:
        """The number of the account that the token belongs to."""
        self._us = self._us or int(member(self._api.get("/user"), "id"))
        return self._us


def _is_fork(item: Mapping[str, object]) -> bool:
    return bool(member(item, "source_project_id") != member(item, "target_project_id"))


def _pull(item: Json) -> Pull:
    number, head = int(member(item, "iid")), str(member(item, "sha"))
    if not _COMMIT.fullmatch(head):
        raise ForgeError(f"merge request {number}: {head[:60]!r} is no commit", hint=HINT)
    ref = f"refs/merge-requests/{number}/head"
    target, updated = str(member(item, "target_branch")), str(item.get("updated_at", ""))
    return Pull(number, head, target, _is_fork(item), ref, updated)
