"""The application, and a server for it that starts and stops cleanly in a thread.

with serve(create_app(store, settings), "127.0.0.1:8080"):
    ...
"""

import contextlib
import gc
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gitops import __version__
from gitops.errors import SettingsError, TowerosError
from gitops.server.bounds import Bounds, Crowd
from gitops.server.boxes import fetching, files, netboot, nocs, reports, sbom
from gitops.server.busy import again
from gitops.server.hooks import hooks
from gitops.server.people import api, live, metrics, page
from gitops.server.people.acts import api as programs
from gitops.server.people.acts import pages as forms
from gitops.server.people.acts import several
from gitops.server.people.acts.doing import Doer
from gitops.server.people.acts.noting import told
from gitops.server.people.guard import changing, login
from gitops.server.people.guard.known import Gate, of_fleet
from gitops.server.people.rendered import Rendered
from gitops.server.people.rendering import Render, here
from gitops.server.people.waiting.answers import Answers
from gitops.server.quick import Quick
from gitops.server.reference.document import install
from gitops.server.remote import routes as remote
from gitops.server.secured import LOOK, Tls
from gitops.settings import Settings
from gitops.store import Store
from gitops.workflows.acting.acting import audit_log
from gitops.workflows.media.starts import OfStore

NEAR = ("127.0.0.1", "::1")
"""Proxies that are believed where nobody says which."""
START = 10.0
"""Seconds that the server may take to listen, and to end."""
AT_ONCE, QUEUE = 16, 2048
"""Connections that are accepted before anybody is answered again, and that wait in the kernel meanwhile."""
HAND_OVER = 0.0001
"""Seconds after which a thread that computes lets the others on, the one that answers boxes among them."""
GARBAGE = (700, 3, 300)
"""How often Python looks for garbage: a little and often. It was a pause of 75 ms now and then."""
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
ENCODED = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


def create_app(store: Store, settings: Settings, render: Render | None = None) -> FastAPI:
    """The routes of docs/formats.md for boxes and for people, over one store: for one listener of the loopback.
    `render`: makes what people read; without it, this process does."""
    return guarded(_people(_boxes(_empty(), store, settings), store, settings, render))


def boxes_app(store: Store, settings: Settings) -> FastAPI:
    """What boxes, NOCs, firmware and forges need, and nothing for people."""
    app = _empty()
    app.include_router(metrics.probes(store, settings))
    return guarded(_boxes(app, store, settings))


def people_app(store: Store, settings: Settings, render: Render | None = None) -> FastAPI:
    """Pages, API, metrics, the login; nothing for boxes."""
    return guarded(_people(_empty(), store, settings, render))


def _empty() -> FastAPI:
    return FastAPI(title="TowerOS update server", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)


def _boxes(app: FastAPI, store: Store, settings: Settings) -> FastAPI:
    gate, door = fetching.Gate(store, settings), remote.Door(store)
    app.state.quick = quick = Quick(store.paths.metadata, ENCODED)
    app.state.waiting = (*(_of(app, "waiting") or ()), door.relay)
    app.include_router(files.router(store, quick), dependencies=[Depends(gate)])
    app.include_router(fetching.router(gate))
    app.include_router(remote.router(door))
    app.include_router(netboot.router(OfStore(store), store.blobs))
    app.include_router(reports.router(store))
    app.include_router(nocs.router(store, settings))
    app.include_router(hooks.router(store, settings))
    return app


def _people(app: FastAPI, store: Store, settings: Settings, render: Render | None) -> FastAPI:
    answers, rendered = Answers(render or here(store, settings)), Rendered()
    listening = live.Live(answers)
    doer = Doer(store, audit_log(store))
    app.state.gate, app.state.record, app.state.rendered = Gate(store, settings), told(doer.log), rendered
    app.state.waiting = (*(_of(app, "waiting") or ()), listening)
    app.include_router(metrics.probes(store, settings))
    app.include_router(page.static())
    pages = login.Pages(store, rendered, settings.oidc.called if settings.oidc else "")
    app.include_router(login.router(pages))
    app.include_router(changing.router(pages))
    if settings.oidc:
        from gitops.server.people.guard.oidc import going  # its libraries take long to load, and few need them
        from gitops.server.people.guard.oidc.provider import Provider

        app.include_router(going.router(going.Going(pages, Provider(settings.oidc), settings.link)))
    app.include_router(page.router(answers, rendered))
    app.include_router(api.router(store, answers))
    app.include_router(forms.router(doer, rendered))
    app.include_router(programs.router(doer))
    app.include_router(several.router(store, doer.log))
    app.include_router(metrics.router(answers))
    app.include_router(live.router(listening))
    for router in (nocs.shown(store, settings), sbom.router(store), _described(install(app))):
        app.include_router(router, dependencies=[Depends(of_fleet)])
    return app


def _described(app: FastAPI) -> APIRouter:
    """The API as a document."""
    routes = APIRouter()

    @routes.get("/openapi.json", include_in_schema=False)
    def openapi() -> Response:
        return JSONResponse(app.openapi())

    return routes


def guarded(app: FastAPI) -> FastAPI:
    """With the answers, headers and bounds that every server of ours has."""
    app.add_exception_handler(HTTPException, _problem)
    app.add_exception_handler(TowerosError, _trouble)
    app.add_middleware(Secure)
    return app


@contextlib.contextmanager
def serve(
    app: FastAPI,
    listen: str,
    bounds: Bounds | None = None,
    *,
    tls: Tls | None = None,
    proxies: Sequence[str] = NEAR,
    called: str = "listen",
) -> Iterator[str]:
    """Serve `app` on ADDRESS:PORT (port 0: any free one) while the context lasts; gives its URL. `proxies`: whose
    `X-Forwarded-For` and `X-Forwarded-Proto` are believed; `called`: the setting that says where.

    Raises:
        SettingsError: the address cannot be used.
    """
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal():
        raise SettingsError(f"{called}: {listen!r} is not ADDRESS:PORT")
    config = uvicorn.Config(app, host.strip("[]"), int(port), log_config=None, access_log=False, lifespan="off")
    config.http, config.ws, config.backlog = Crowd(bounds or Bounds(), _of(app, "quick")).protocol(), "none", AT_ONCE
    config.loop, config.forwarded_allow_ips = "uvloop", list(proxies)
    server = Secured(config, tls) if tls else uvicorn.Server(config)
    server.config.timeout_graceful_shutdown = int(START)
    thread = threading.Thread(target=_run, args=(server,), name="update-server", daemon=True)
    thread.start()
    try:
        yield _address(server, thread, listen, called)
    finally:
        server.should_exit = True
        for waiting in _of(app, "waiting") or ():
            waiting.ended = True
        thread.join(2 * START)


class Secured(uvicorn.Server):
    """One that speaks TLS, and takes a renewed certificate while it runs."""

    def __init__(self, config: uvicorn.Config, tls: Tls) -> None:
        super().__init__(config)
        self._tls, self._ticks = tls, 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.ssl = self._tls.context
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Who asks for nothing is not waited for: many a client never says that it ends its TLS."""
        idle: list[Any] = [each for each in self.server_state.connections if each.stage == "head"]  # type: ignore[union-attr]
        for each in idle:
            each.end()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """uvicorn calls it ten times a second."""
        self._ticks += 1
        if self._ticks % int(LOOK * 10) == 0 and await run_in_threadpool(self._tls.changed):
            self._tls.take()
        return await super().on_tick(counter)


def settled() -> None:
    """What is loaded by now stays. Without this, Python looks through all of it now and then, and nobody is answered
    for a third of a second: most often while it renders the page of a large fleet. Once per process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    sys.setswitchinterval(HAND_OVER)


def _of(app: FastAPI, name: str) -> Any:
    """What `create_app` made; None: it is another application."""
    return getattr(getattr(app, "state", None), name, None)


def _run(server: uvicorn.Server) -> None:
    # uvicorn ends with SystemExit when it cannot listen; the waiting side sees the thread gone and says so.
    with contextlib.suppress(SystemExit):
        server.run()


def _address(server: uvicorn.Server, thread: threading.Thread, listen: str, called: str) -> str:
    end = time.monotonic() + START
    while not server.started and thread.is_alive() and time.monotonic() < end:
        time.sleep(0.02)
    if not server.started:
        raise SettingsError(f"cannot listen on {listen}", hint=f"is another server running? change `{called}`")
    listening = server.servers[0].sockets[0]
    with listening.dup() as same:
        same.listen(QUEUE)  # asyncio takes its own number for both
    host, port = listening.getsockname()[:2]
    scheme = "https" if isinstance(server, Secured) else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


async def _problem(request: Request, error: Exception) -> Response:
    """RFC 9457; a page, where a browser asks for one."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else ""
    headers = error.headers if isinstance(error, HTTPException) else None
    rendered: Rendered | None = getattr(request.app.state, "rendered", None)
    if rendered and status >= 400 and "text/html" in request.headers.get("accept", ""):
        shown = page.problem(rendered, request, status, detail)
        shown.headers.update(headers or {})
        return shown
    return problem(status, detail, headers)


async def _trouble(_request: Request, error: Exception) -> Response:
    return problem(503, error.message if isinstance(error, TowerosError) else "", again())


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status}
    if detail and detail != title:
        body["detail"] = detail
    return JSONResponse(body, status, dict(headers or {}), media_type="application/problem+json")


class Secure:
    """Adds `HEADERS` to every answer that has none of its own of that name, without touching the bodies: layers are
    large."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                person = scope.get("state", {}).get("person")
                if person and person.name:  # what was made for somebody is kept by no proxy for another
                    kept = [each for each in message["headers"] if each[0] != b"cache-control"]
                    message["headers"] = [*kept, (b"cache-control", b"no-store")]
                said = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(each for each in ENCODED if each[0] not in said)]
            await send(message)

        await self._app(scope, receive, with_headers)
