"""GitHub on loopback: a real HTTP server with the shapes of the real API, for what `gitops.review` asks of it.

Pages by Link header, ETag and 304, rate-limit headers, errors with `message` and `documentation_url`, permissions,
deletion behind our back, and faults on demand:

    with forge() as hub:
        hub.pulls.append(hub.pull(7, head_sha))
        hub.faults.append(Fault(503))          # the next answer
        hub.comments, hub.statuses, hub.requests
"""

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

REPOSITORY = "octo/fleet"
DOCS = "https://docs.example/rest"


@dataclass
class Fault:
    """One answer that is not the usual one. `delay`: seconds before it; `raw`: a body that is not what was asked."""

    code: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "Server Error"
    delay: float = 0.0
    raw: bytes | None = None
    path: str = ""
    """Only for paths that hold this; empty: for any."""


@dataclass
class Request:
    """What was asked, and how it was answered."""

    method: str
    path: str
    code: int
    token: str
    body: Any = None


class Forge:
    """The state of the simulated forge."""

    def __init__(self) -> None:
        self.url = ""
        self.tokens = {"secret-token": "toweros-bot"}
        self.pulls: list[dict[str, Any]] = []
        self.branches: dict[str, str] = {}
        """What a pull request can be opened from: name -> commit."""
        self.comments: dict[int, dict[str, Any]] = {}
        self.statuses: list[dict[str, Any]] = []
        self.permissions = {"ada": "admin", "ben": "write", "eve": "read"}
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.remaining, self.page = 5000, 100
        self.problem = "Bad Request"
        self._clock = 0

    def pull(self, number: int, head: str, *, fork: bool = False, base: str = "main") -> dict[str, Any]:
        """A pull request in GitHub's words (the members that matter here)."""
        source = "eve/fleet" if fork else REPOSITORY
        made = {
            "number": number,
            "state": "open",
            "title": "change",
            "user": {"login": "eve" if fork else "ada", "type": "User"},
            "updated_at": self._now(),
            "head": {"sha": head, "ref": "topic", "repo": {"full_name": source, "fork": fork}},
            "base": {"sha": "0" * 40, "ref": base, "repo": {"full_name": REPOSITORY, "fork": False}},
        }
        self.pulls.append(made)
        return made

    def push(self, number: int, head: str) -> None:
        pull = next(each for each in self.pulls if each["number"] == number)
        pull["head"]["sha"], pull["updated_at"] = head, self._now()

    def say(self, number: int, login: str, body: str) -> int:
        """A comment of somebody's."""
        identity = 1000 + len(self.comments)
        while identity in self.comments:
            identity += 1
        self.comments[identity] = {
            "id": identity,
            "issue": number,
            "user": {"login": login, "type": "User"},
            "body": body,
            "author_association": "NONE",
        }
        for pull in self.pulls:
            if pull["number"] == number:
                pull["updated_at"] = self._now()
        return identity

    def ours(self, number: int) -> list[str]:
        """The bodies of the bot's comments."""
        bot = self.tokens.values()
        return [c["body"] for c in self.comments.values() if c["issue"] == number and c["user"]["login"] in bot]

    def state(self, commit: str, context: str) -> tuple[str, str] | None:
        """The newest status of a context: (state, description)."""
        found = [s for s in self.statuses if (s["sha"], s["context"]) == (commit, context)]
        return (found[-1]["state"], found[-1]["description"]) if found else None

    def asked(self, method: str = "") -> list[str]:
        return [f"{r.method} {r.path}" for r in self.requests if method in ("", r.method)]

    def _now(self) -> str:
        self._clock += 1
        return f"2026-01-01T00:{self._clock // 60:02}:{self._clock % 60:02}Z"

    # --- what the API answers ---------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: dict[str, str], body: Any, login: str) -> tuple[int, Any]:
        if path == "/user":
            return 200, {"login": login, "id": 7, "type": "User"}
        if path.startswith("/projects/5/merge_requests/"):
            return self._notes(method, path.removeprefix("/projects/5/merge_requests/"), body)
        inside = re.fullmatch(rf"/repos/{REPOSITORY}(/.*)", path)
        if not inside:
            return 404, None
        for pattern, verb, handle in (
            (r"/pulls", "GET", lambda _: self._pulls(query)),
            (r"/pulls", "POST", lambda _: self._opened(body, login)),
            (r"/pulls/(\d+)", "GET", lambda m: self._one(int(m[1]))),
            (r"/pulls/(\d+)", "PATCH", lambda m: self._changed(int(m[1]), body)),
            (r"/issues/(\d+)/comments", "GET", lambda m: self._listed(int(m[1]))),
            (r"/issues/(\d+)/comments", "POST", lambda m: self._created(int(m[1]), login, body)),
            (r"/issues/comments/(\d+)", "PATCH", lambda m: self._edited(int(m[1]), login, body)),
            (r"/statuses/([0-9a-f]{40})", "POST", lambda m: self._status(m[1], body)),
            (r"/collaborators/([^/]+)/permission", "GET", lambda m: self._permission(m[1])),
        ):
            match = re.fullmatch(pattern, inside[1])
            if match and verb == method:
                return handle(match)  # type: ignore[no-untyped-call]
        return 404, None

    def _pulls(self, query: dict[str, str]) -> tuple[int, Any]:
        wanted = [p for p in self.pulls if query.get("state", "open") in ("all", p["state"])]
        wanted = [p for p in wanted if query.get("head") in (None, _named(p))]
        return 200, [p for p in wanted if query.get("base") in (None, p["base"]["ref"])]

    def _opened(self, body: Any, login: str) -> tuple[int, Any]:
        if body["head"] not in self.branches or any(
            _named(p) == f"octo:{body['head']}" for p in self.pulls if p["state"] == "open"
        ):
            return 422, None
        made = self.pull(len(self.pulls) + 1, self.branches[body["head"]], base=body["base"])
        made |= {"title": body["title"], "body": body["body"], "user": {"login": login, "type": "User"}}
        made["head"]["ref"] = body["head"]
        return 201, made

    def _one(self, number: int) -> tuple[int, Any]:
        found = [p for p in self.pulls if p["number"] == number]
        return (200, found[0]) if found else (404, None)

    def _changed(self, number: int, body: Any) -> tuple[int, Any]:
        code, pull = self._one(number)
        if pull:
            pull.update({name: body[name] for name in ("title", "body", "state") if name in body})
            pull["updated_at"] = self._now()
        return code, pull

    def _listed(self, number: int) -> tuple[int, Any]:
        return 200, [c for c in self.comments.values() if c["issue"] == number]

    def _created(self, number: int, login: str, body: Any) -> tuple[int, Any]:
        if len(body["body"]) > 65_536:
            return 422, None
        return 201, self.comments[self.say(number, login, body["body"])]

    def _edited(self, identity: int, login: str, body: Any) -> tuple[int, Any]:
        if identity not in self.comments:
            return 404, None
        if self.comments[identity]["user"]["login"] != login:
            return 403, None
        if len(body["body"]) > 65_536:
            return 422, None
        self.comments[identity]["body"] = body["body"]
        return 200, self.comments[identity]

    def _status(self, commit: str, body: Any) -> tuple[int, Any]:
        if body["state"] not in ("error", "failure", "pending", "success") or len(body["description"]) > 140:
            return 422, None
        self.statuses.append({"sha": commit, "target_url": "", **body})
        return 201, self.statuses[-1]

    def _notes(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """GitLab's notes of merge requests; `author` in place of `user`."""
        number, _, note = path.partition("/notes")
        if method == "GET":
            found = [c for c in self.comments.values() if c["issue"] == int(number)]
            return 200, [{**c, "author": {"id": 7 if c["user"]["login"] in self.tokens.values() else 8}} for c in found]
        if method == "POST" and not note:
            return self._created(int(number), next(iter(self.tokens.values())), body)
        return (
            self._edited(int(note.strip("/")), next(iter(self.tokens.values())), body)
            if method == "PUT"
            else (404, None)
        )

    def _permission(self, login: str) -> tuple[int, Any]:
        if login not in self.permissions:
            return 404, None
        return 200, {"permission": self.permissions[login], "user": {"login": login}}


def _named(pull: dict[str, Any]) -> str:
    """`OWNER:BRANCH`."""
    return f"{pull['head']['repo']['full_name'].split('/')[0]}:{pull['head']['ref']}"


MESSAGES = {404: "Not Found", 403: "Resource not accessible by integration", 422: "Validation Failed"}


class Handler(BaseHTTPRequestHandler):
    """HTTP around a `Forge`."""

    protocol_version = "HTTP/1.1"
    hub: Forge

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_PATCH = do_PUT = do_GET  # noqa: N815 - http.server's own words

    def log_message(self, *_: object) -> None:
        pass

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        token = self.headers.get("PRIVATE-TOKEN") or (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        fault = next((each for each in self.hub.faults if each.path in self.path), None)
        if fault:
            self.hub.faults.remove(fault)
            time.sleep(fault.delay)
        if fault and (fault.code or fault.raw is not None):
            code, headers = fault.code or 200, fault.headers
            said = {"message": fault.message, "documentation_url": DOCS, "status": str(code)}
            data = fault.raw if fault.raw is not None else json.dumps(said).encode()
        else:
            code, headers, data = self._usual(parts.path, query, body, token)
        self.hub.requests.append(Request(self.command, self.path, code, token, body))
        with contextlib.suppress(OSError):
            self.send_response(code)
            for name, value in {"Content-Type": "application/json; charset=utf-8", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def _usual(self, path: str, query: dict[str, str], body: Any, token: str) -> tuple[int, dict[str, str], bytes]:
        hub = self.hub
        login = hub.tokens.get(token)
        if login is None:
            return 401, {}, self._problem(401, "Bad credentials")
        headers = {"X-RateLimit-Limit": "5000", "X-RateLimit-Reset": str(int(time.time()) + 600)}
        code, value = hub.answer(self.command, path, query, body, login)
        if value is None:
            return code, headers, self._problem(code, MESSAGES.get(code) or hub.problem)
        if isinstance(value, list):
            value, link = self._paged(path, query, value)
            headers |= {"Link": link} if link else {}
        data = json.dumps(value).encode()
        etag = f'W/"{sha256(data).hexdigest()}"'
        if self.command == "GET" and self.headers.get("If-None-Match") == etag:
            return 304, {**headers, "ETag": etag}, b""
        hub.remaining -= 1
        headers |= {"X-RateLimit-Remaining": str(hub.remaining)}
        return code, {**headers, **({"ETag": etag} if self.command == "GET" else {})}, data

    def _paged(self, path: str, query: dict[str, str], items: list[Any]) -> tuple[list[Any], str]:
        size, page = (
            min(int(query.get("per_page") or query.get("limit") or "30"), self.hub.page),
            int(query.get("page", "1")),
        )
        shown = items[(page - 1) * size : page * size]
        if page * size >= len(items):
            return shown, ""
        following = f"{self.hub.url}{path}?{urlencode({**query, 'page': str(page + 1)})}"
        last = f"{self.hub.url}{path}?{urlencode({**query, 'page': str(-(-len(items) // size))})}"
        return shown, f'<{following}>; rel="next", <{last}>; rel="last"'

    def _problem(self, code: int, message: str) -> bytes:
        return json.dumps({"message": message, "documentation_url": DOCS, "status": str(code)}).encode()


@contextlib.contextmanager
def forge(kind: type[Forge] = Forge) -> Iterator[Forge]:
    """A running forge on a free port of loopback."""
    hub = kind()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
