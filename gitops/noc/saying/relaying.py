"""POST /api/v1/boxes/BOX/report at a site: passed on while somebody is there, kept while nobody is.

In: a report. Out: what the origin answers, with its signed receipt, or 202 and `toweros-waits`, which proves nothing:
the box stays as it is, healthy, begins no trial, and sends its report again. Rules: of one box, what waits goes before
what comes; an origin that was away is asked again by the pass alone, so that no box waits for it; a report that went
through too many NOCs is stopped.
"""

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from gitops.model.machines.newcomer import role_of
from gitops.noc.origin import WAITS
from gitops.noc.saying.reports import ReportError, Reports, whole
from gitops.server.body import bounded
from gitops.server.boxes.reports import AT_A_TIME, MAX_BODY, is_name
from gitops.server.busy import Queue
from gitops.web.ask import Bounds, WebError, ask

log = structlog.get_logger(__name__)

BOUNDS = Bounds(connect=5.0, silence=15.0, longest=25.0, largest=64 << 10)
"""Of one report on its way. A box waits 60 s."""
PASSED_ON = ("toweros-receipt", "toweros-ssh", "toweros-challenge", "toweros-small", "toweros-remote", WAITS)
"""`WAITS`: since when (Unix seconds) the origin is away: what is told of a report that was kept, also by a NOC that is
our origin."""
TAKEN = 204
MAX_HEADER = 4096
VIA, MAX_VIA = "toweros-via", 4
"""Through which NOCs a report came, each a number of its own."""
LOCKS = 256
"""Of one box, one report is on its way at a time; names are free for anybody to make up, so they share locks."""
MAX_TROUBLE = 3
"""Boxes whose reports an origin may be in trouble with, before all others wait for the next pass."""


@dataclass(frozen=True)
class Said:
    """What the origin answers."""

    status: int
    headers: Mapping[str, str]


@dataclass
class Relay:
    """The way of reports to `url`. `away` is since when nobody is there (Unix seconds), 0: somebody is."""

    url: str
    reports: Reports
    away: float = 0.0
    own: str = field(default_factory=lambda: secrets.token_hex(8))
    heard: Callable[[str, bytes, bool], None] = lambda *_: None
    """Told of reports (box, body) that the origin took (True), or that the key signed that it knows."""
    _locks: list[threading.Lock] = field(default_factory=lambda: [threading.Lock() for _ in range(LOCKS)])

    def take(self, name: str, body: bytes, via: Sequence[str] = (), known: bool = True) -> Said:
        """A report comes. `known`: the site has this box, and keeps what it says.

        Raises:
            ReportError: it is not kept, and the origin is away. StoreError: the disk is full.
        """
        with self._lock(name):
            if not self.away and self._drain(name) and (said := self._ask(name, body, via)):
                if said.status == TAKEN:
                    self.heard(name, body, True)
                return said
            if not known:
                raise ReportError("nobody at this site knows this box, and the origin is away")
            self.reports.keep(name, body)
            if self.reports.by_its_key(name, body):
                self.heard(name, body, False)
        return Said(202, {WAITS: str(int(self.away or time.time()))})

    def drain(self) -> None:
        """The origin is back: all that waits."""
        self.away = 0.0
        trouble = 0
        for name in self.reports.boxes():
            with self._lock(name):
                trouble += not self._drain(name)
            if trouble >= MAX_TROUBLE:
                return

    def gone(self) -> None:
        self.away = self.away or time.time()

    def _drain(self, name: str) -> bool:
        """What waits of one box. False: the origin went away."""
        while path := self.reports.next(name):
            if whole(name, body := path.read_bytes()) and self._ask(name, body, ()) is None:
                return False
            self.reports.done(path)
        return True

    def _ask(self, name: str, body: bytes, via: Sequence[str]) -> Said | None:
        """None: the origin is away, or in trouble."""
        headers = {"Content-Type": "application/json", VIA: " ".join((*via, self.own))}
        url = f"{self.url}/api/v1/boxes/{name}/report"
        try:
            with ask(url, BOUNDS, headers, body=body, redirects=False) as answer:
                status = answer.status
                said = {each: answer.headers.get(each, "")[:MAX_HEADER] for each in PASSED_ON}
        except WebError as error:
            self._trouble(str(error))
            return None
        if not 200 <= status < 300 and not 400 <= status < 500:
            self._trouble(f"HTTP {status}")
            return None
        if status == TAKEN:
            self.reports.taken(name, body)
        return Said(status, {each: value for each, value in said.items() if value})

    def _trouble(self, why: str) -> None:
        if not self.away:
            log.warning("noc.origin_away", why=why)
        self.gone()

    def _lock(self, name: str) -> threading.Lock:
        return self._locks[hash(name) % LOCKS]


def router(relay: Relay, heard: Callable[[str], object], knows: Callable[[str], bool]) -> APIRouter:
    """`heard`: told of every box that reports; `knows`: whether the site has it."""
    routes = APIRouter()
    queue = Queue(AT_A_TIME)

    def taken(name: str, body: bytes, via: Sequence[str]) -> Said:
        try:
            return relay.take(name, body, via, knows(name))
        except ReportError as error:
            raise HTTPException(403, error.message) from error

    @routes.post("/api/v1/boxes/{name}/report", status_code=204)
    async def report(name: str, request: Request) -> Response:
        if not is_name(name) and not role_of(name):
            raise HTTPException(404)
        via = request.headers.get(VIA, "").split()
        if relay.own in via or len(via) >= MAX_VIA:
            raise HTTPException(508, "a report goes in a circle: the origin of a NOC is that NOC again")
        body = await bounded(request, "report", MAX_BODY)
        heard(name)
        said = await queue.run(taken, name, body, via)
        return Response(status_code=said.status, headers=dict(said.headers))

    return routes
