"""GitLab on loopback: a real HTTP server with the shapes of API v4, for what `gitops.forges.gitlab` asks of it.

Merge requests by number in the project, notes with authors by number, members of groups above, and statuses that
refuse to become what they are. What it keeps is a `Forge`'s, said in GitLab's words:

    with forge(GitLab) as hub:
        hub.pull(7, head_sha)
        hub.ours(7), hub.statuses
"""

import re
from typing import Any

from tests.simulators.forge import Forge

PROJECT = "/api/v4/projects/octo%2Ffleet"
ACCOUNTS = {"toweros-bot": 7, "ada": 11, "ben": 12, "eve": 13, "gone": 14}
LEVELS = {"admin": 50, "write": 30, "read": 20}
NAMES = {"pending": "pending", "success": "success", "failed": "failure", "canceled": "error"}
OPEN = ("pending", "running")


class GitLab(Forge):
    """The state of the simulated forge. `blocked`: members who may do nothing any more."""

    def __init__(self) -> None:
        super().__init__()
        self.permissions["gone"] = "admin"
        self.blocked = {"gone"}
        self.problem = ""

    def answer(self, method: str, path: str, query: dict[str, str], body: Any, login: str) -> tuple[int, Any]:
        if path == "/api/v4/user":
            return 200, {"id": ACCOUNTS[login], "username": login}
        if not path.startswith(PROJECT):
            return 404, None
        for pattern, verb, handle in (
            (r"/merge_requests", "GET", lambda _: self._merges(query)),
            (r"/merge_requests", "POST", lambda _: self._asked_for(body, login)),
            (r"/merge_requests/(\d+)", "GET", lambda m: self._said(*self._one(int(m[1])))),
            (r"/merge_requests/(\d+)", "PUT", lambda m: self._put(int(m[1]), body)),
            (r"/merge_requests/(\d+)/notes", "GET", lambda m: self._all_notes(int(m[1]))),
            (r"/merge_requests/(\d+)/notes", "POST", lambda m: self._created(int(m[1]), login, body)),
            (r"/merge_requests/(\d+)/notes/(\d+)", "PUT", lambda m: self._edited(int(m[2]), login, body)),
            (r"/statuses/([0-9a-f]{40})", "POST", lambda m: self._set(m[1], body)),
            (r"/repository/commits/([0-9a-f]{40})/statuses", "GET", lambda m: self._statuses(m[1], query)),
            (r"/members/all/(\d+)", "GET", lambda m: self._member(int(m[1]))),
        ):
            match = re.fullmatch(pattern, path.removeprefix(PROJECT))
            if match and verb == method:
                return handle(match)  # type: ignore[no-untyped-call]
        return 404, None

    def note_of_the_system(self, number: int, text: str) -> None:
        """What GitLab itself writes, in somebody's name."""
        self.comments[self.say(number, "ada", text)]["system"] = True

    def _merges(self, query: dict[str, str]) -> tuple[int, Any]:
        state = {"opened": "open", "closed": "closed"}.get(query.get("state", "all"), "")
        found = [p for p in self.pulls if state in ("", p["state"])]
        found = [p for p in found if query.get("source_branch") in (None, p["head"]["ref"])]
        return 200, [_merge(p) for p in found if query.get("target_branch") in (None, p["base"]["ref"])]

    def _asked_for(self, body: Any, login: str) -> tuple[int, Any]:
        said = {"head": body["source_branch"], "base": body["target_branch"], "title": body["title"]}
        code, made = self._opened(said | {"body": body["description"]}, login)
        return self._said(409 if code == 422 else code, made)

    def _put(self, number: int, body: Any) -> tuple[int, Any]:
        said = {"title": body.get("title"), "body": body.get("description")}
        state = {"close": "closed", "reopen": "open"}.get(body.get("state_event", ""))
        return self._said(*self._changed(number, {k: v for k, v in {**said, "state": state}.items() if v is not None}))

    def _said(self, code: int, pull: Any) -> tuple[int, Any]:
        return code, _merge(pull) if pull else None

    def _all_notes(self, number: int) -> tuple[int, Any]:
        return 200, [
            {"id": c["id"], "body": c["body"], "system": c.get("system", False),
             "author": {"id": ACCOUNTS.get(c["user"]["login"], 99), "username": c["user"]["login"]}}
            for c in self.comments.values() if c["issue"] == number
        ]  # fmt: skip

    def _set(self, commit: str, body: Any) -> tuple[int, Any]:
        if body["state"] not in (*NAMES, "running") or len(body["description"]) > 255:
            return 400, None
        newest = next((s for s in reversed(self.statuses) if (s["sha"], s["context"]) == (commit, body["name"])), None)
        if newest and newest["state"] == NAMES[body["state"]]:
            self.problem = "Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition)"
            return 400, None
        said = {"state": NAMES[body["state"]], "context": body["name"], "description": body["description"]}
        self.statuses.append({"sha": commit, "target_url": body.get("target_url", ""), **said})
        return 201, self.statuses[-1]

    def _statuses(self, commit: str, query: dict[str, str]) -> tuple[int, Any]:
        states = {ours: theirs for theirs, ours in NAMES.items()}
        return 200, [
            {"id": number, "name": s["context"], "status": states[s["state"]]}
            for number, s in enumerate(self.statuses, 1)
            if s["sha"] == commit and query.get("name") in (None, s["context"])
        ]

    def _member(self, account: int) -> tuple[int, Any]:
        login = next((name for name, number in ACCOUNTS.items() if number == account), "")
        if login not in self.permissions:
            return 404, None
        state = "blocked" if login in self.blocked else "active"
        return 200, {"id": account, "state": state, "access_level": LEVELS[self.permissions[login]]}


def _merge(pull: dict[str, Any]) -> dict[str, Any]:
    fork = pull["head"]["repo"]["full_name"] != pull["base"]["repo"]["full_name"]
    return {
        "iid": pull["number"],
        "id": 1000 + pull["number"],
        "sha": pull["head"]["sha"],
        "state": {"open": "opened"}.get(pull["state"], pull["state"]),
        "source_branch": pull["head"]["ref"],
        "target_branch": pull["base"]["ref"],
        "source_project_id": 8 if fork else 5,
        "target_project_id": 5,
        "title": pull["title"],
        "description": pull.get("body", ""),
        "updated_at": pull["updated_at"],
    }
