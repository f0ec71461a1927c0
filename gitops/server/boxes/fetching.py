"""`fetch = "boxes"`: what a release is made of is handed to boxes of this fleet alone, by their own keys.

In: the path of a request, its header `Authorization`. Out: nothing, or 401 with a challenge. Rules: metadata stay open:
they are signed, and a box whose key nobody knows yet must see them; a challenge is the server's time under a key that
all servers of a store share, so no clock but ours counts, and none is kept; who signed one fetches with it until it
ends; what a silent box runs or is offered, and what the network starts, stays open: an initrd has no key, and a disk
that is damaged must come back by itself (ADR 107).

    WWW-Authenticate: TowerOS-Fetch TIME.MAC
    Authorization: TowerOS-Fetch NAME TIME.MAC SIGNATURE    # over PURPOSE, NAME, TIME.MAC, a line each
"""

import hmac
import re
import time
from collections.abc import Callable, Iterator
from hashlib import sha256

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from gitops.errors import StoreError
from gitops.server.busy import Queue
from gitops.settings import Settings
from gitops.sign.box import proves
from gitops.sign.receipts import Receipts
from gitops.store import Store
from gitops.store.notes.netboot import BootSets
from gitops.workflows.enrolment import desk

SCHEME = "TowerOS-Fetch"
SAID = re.compile(rf"{SCHEME} ((?:noc/)?[a-z0-9-]{{1,63}}) (([0-9]{{1,12}})\.([0-9a-f]{{32}})) ([0-9a-f]{{128}})")
VALID, SKEW = 600, 60
"""Seconds for which a challenge holds, and by which two servers of one store may differ."""
AGAIN = 60.0
"""Seconds after which a proof is looked at again: a box may have been revoked."""
AT_A_TIME = 4
"""Proofs that are looked at at a time: whoever forges them keeps no report waiting."""
LOOK = 30.0
"""Seconds for which it is known what stays open."""
GIVEN_UP = 30 * 86400
"""Seconds of silence after which nobody waits for its initrd any more."""
MOST = 4096
"""Proofs that are remembered."""
MOST_OPEN = 2000
"""Releases that stay open at a time; those of boxes that fell silent last."""
FIRST = re.compile(r"/(?:layers|deltas|targets|attestations)/")
RELEASE = re.compile(r"/targets/[a-z0-9.-]+/([0-9a-f]{64})\.[a-z.]+")
PLAIN = re.compile(r"(?:/[A-Za-z0-9][A-Za-z0-9._-]*)+")
"""A path that everybody reads alike. nginx says what was sent, and serves what it makes of that: without `..`, `//`
and `%2e`."""
LAYER = re.compile(r"/layers/([0-9a-f]{64})(?:\.zst)?")
ORIGINAL = "x-original-uri"
"""The path that nginx asks about (ngx_http_auth_request_module)."""
REFUSED = "only boxes of this fleet fetch here: sign the challenge with the box's key"


class Gate:
    """Of one server. `clock`: Unix seconds."""

    def __init__(self, store: Store, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._store, self._clock = store, clock
        self._nocs = dict(row.split("=", 1) for row in settings.nocs)
        self._closed = settings.fetch == "boxes"
        self._proven: dict[str, float] = {}
        self._queue = Queue(AT_A_TIME)
        self._open, self._looked = frozenset[str](), float("-inf")

    async def __call__(self, request: Request) -> None:
        """A dependency of the routes that boxes fetch by."""
        await self.ask(request.scope["path"], request.headers.get("authorization", ""))

    async def ask(self, path: str, said: str) -> None:
        """Raises HTTPException 401."""
        if not self._closed or self._remembered(said) or (PLAIN.fullmatch(path) and not FIRST.match(path)):
            return
        if not await self._queue.run(self.admits, path, said):
            raise HTTPException(401, REFUSED, {"WWW-Authenticate": f"{SCHEME} {self.challenge()}"})

    def admits(self, path: str, said: str) -> bool:
        """Whether this may be fetched, by whoever says this."""
        if self._proves(said):
            while len(self._proven) >= MOST:
                del self._proven[next(iter(self._proven))]
            self._proven[said] = time.monotonic()
            return True
        found = LAYER.fullmatch(path) or RELEASE.fullmatch(path)
        return found is not None and found[1] in self._stays_open()

    def challenge(self) -> str:
        """A new one."""
        now = f"{self._clock():.0f}"
        return f"{now}.{self._mac(now)}"

    def _remembered(self, said: str) -> bool:
        at = self._proven.get(said)
        return at is not None and time.monotonic() - at < AGAIN and self._fresh(said.split()[2].partition(".")[0])

    def _fresh(self, at: str) -> bool:
        return -SKEW <= self._clock() - int(at) <= VALID

    def _mac(self, text: str) -> str:
        secret = sha256(b"toweros fetch\n" + Receipts.made(self._store).key.private_bytes_raw()).digest()
        return hmac.new(secret, text.encode(), sha256).hexdigest()[:32]

    def _proves(self, said: str) -> bool:
        found = SAID.fullmatch(said)
        if not found or not self._fresh(found[3]) or not hmac.compare_digest(self._mac(found[3]), found[4]):
            return False
        name, text = found[1], f"toweros fetch 1\n{found[1]}\n{found[2]}\n".encode()
        if name.startswith("noc/"):
            key = self._nocs.get(name.removeprefix("noc/"))
            return key is not None and proves(key, text, found[5])
        return desk.believed(self._store, name, text, found[5])

    def _stays_open(self) -> frozenset[str]:
        """Digests of release documents and of layers."""
        if time.monotonic() - self._looked > LOOK:
            self._open, self._looked = frozenset(self._needed()), time.monotonic()
        return self._open

    def _needed(self) -> Iterator[str]:
        for release in list(dict.fromkeys(self._releases()))[:MOST_OPEN]:
            yield release
            try:
                yield from (layer.root for layer in self._store.release(release).layers())
            except StoreError:
                continue  # it is gone, or damaged: nobody starts from it

    def _releases(self) -> Iterator[str]:
        """Those that an initrd may have to bring: what silent boxes run and are offered, what the network starts."""
        now = self._clock()
        for state in sorted(self._store.states.all(), key=lambda each: -each.received):
            silent = now - max(state.received, state.enrolled)
            if not state.revoked and state.silence.late < silent < GIVEN_UP:
                yield from filter(None, (state.published.release, state.running.release))
        for sets in self._store.notes.each(BootSets).values():
            yield from (each.release for each in sets.sets)


def router(gate: Gate) -> APIRouter:
    """GET /api/v1/fetch: what nginx asks before it hands out a file itself."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/api/v1/fetch", status_code=204)
    async def fetch(request: Request) -> Response:
        path = request.headers.get(ORIGINAL, "").partition("?")[0]
        await gate.ask(path, request.headers.get("authorization", ""))
        return Response(status_code=204)

    return routes
