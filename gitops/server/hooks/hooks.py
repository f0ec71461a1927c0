"""POST /hooks/FORGE: a forge says that something was pushed; the controller looks at the remote now.

In: any body, proven by the secret of `hook_secret_file`. Out: 204, and a note in the store (`Woken`), which whichever
process is the controller sees within a second. Rules:

- It wakes the poll and does nothing else: no word of the body is believed, or even read. What deploys is what Git has
  and the policy takes; whoever repeats a request, or has the secret, makes the controller look once more.
- Proof: GitHub, Gitea and Forgejo sign the body (HMAC-SHA256); GitLab sends the secret. Compared in constant time, one
  header and no second one. The secret is read at each use, and is in no answer and no log.
- Bounded: the body, what is logged of strangers (`Seldom`), how often one process wakes; and the controller rests a
  while between two passes, however often it is woken.
"""

import hmac
import threading
import time
from hashlib import sha256
from pathlib import Path

import structlog
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from gitops.server.body import bounded
from gitops.server.boxes.reports import MAX_BODY
from gitops.server.seldom import Seldom
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.working import Woken

log = structlog.get_logger(__name__)

SIGNED = {
    "github": ("x-hub-signature-256",),
    "gitea": ("x-gitea-signature", "x-hub-signature-256"),
    "forgejo": ("x-forgejo-signature", "x-gitea-signature", "x-hub-signature-256"),
}
"""Forge -> headers that may carry the signature: hex, with or without `sha256=`."""
TOKEN = {"gitlab": "x-gitlab-token"}
SHORTEST, LONGEST = 16, 1024
"""Letters of a secret: with fewer, it could be guessed from one request that somebody saw."""
AT_ONCE, REFILL = 20, 3.0
"""So many wake at once; then one in so many seconds."""
_refused = Seldom("hook.refused")


def router(store: Store, settings: Settings) -> APIRouter:
    """Without `hook_secret_file` there is no such path."""
    routes, pace = APIRouter(), Pace()

    @routes.post("/hooks/{name}", status_code=204, include_in_schema=False)
    async def hook(name: str, request: Request) -> Response:
        if settings.hook_secret_file is None or name not in (*SIGNED, *TOKEN):
            raise HTTPException(404, "there is no such hook")
        body = await bounded(request, "hook", MAX_BODY)
        await run_in_threadpool(_take, store, settings.hook_secret_file, pace, Sent(name, request, body))
        return Response(status_code=204)

    return routes


class Sent:
    """What was sent, and by which header it proves that it is the forge's."""

    def __init__(self, forge: str, request: Request, body: bytes) -> None:
        self.forge, self._headers, self._body = forge, request.headers, body

    def proves(self, secret: bytes) -> bool:
        """Whether whoever sent it has the secret."""
        if self.forge in TOKEN:
            said = self._only(TOKEN[self.forge])
            return hmac.compare_digest(sha256(said).digest(), sha256(secret).digest())
        said = next(filter(None, map(self._only, SIGNED[self.forge])), b"").removeprefix(b"sha256=")
        return hmac.compare_digest(said, hmac.new(secret, self._body, sha256).hexdigest().encode())

    def _only(self, name: str) -> bytes:
        """Empty: there is none, or more than one."""
        found = self._headers.getlist(name)
        return found[0].encode("latin-1") if len(found) == 1 else b""


class Pace:
    """How often this process wakes the controller."""

    def __init__(self) -> None:
        self._left, self._then, self._lock = float(AT_ONCE), time.monotonic(), threading.Lock()

    def take(self) -> bool:
        """Whether it may now."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self._left + (now - self._then) / REFILL, AT_ONCE)
            self._then = now
            if self._left < 1:
                return False
            self._left -= 1
            return True


def _take(store: Store, file: Path, pace: Pace, sent: Sent) -> None:
    if not sent.proves(_secret(file)):
        _refused.warn(sent.forge, "no proof that it comes from there")
        raise HTTPException(403, "this is not signed with the secret")
    if not pace.take():
        raise HTTPException(429, "the controller was woken often enough", {"Retry-After": f"{REFILL:.0f}"})
    store.notes.change(Woken, lambda said: Woken(said.times + 1, int(time.time())))


def _secret(file: Path) -> bytes:
    """Raises HTTPException: there is none, and nobody is let in."""
    try:
        with file.open("rb") as stream:
            secret = stream.read(LONGEST + 1).strip()
    except OSError:
        secret = b""
    if not SHORTEST <= len(secret) <= LONGEST:
        log.error("hook.no_secret", file=str(file), hint=f"it holds {SHORTEST} letters at least; docs/review.md")
        raise HTTPException(503, "the controller has no secret for hooks")
    return secret
