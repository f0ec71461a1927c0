"""The application, and a server for it that starts and stops cleanly in a thread.

with serve(create_app(store, settings), "127.0.0.1:8080"):
    ...
"""

import contextlib
import gc
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus

import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gitops import __version__
from gitops.errors import SettingsError, TowerosError
from gitops.server.bounds import Bounds, Crowd
from gitops.server.boxes import files, netboot, nocs, reports, sbom
from gitops.server.hooks import hooks
from gitops.server.people import api, live, metrics, page
from gitops.server.people.rendering import Render, here
from gitops.server.people.waiting.answers import Answers
from gitops.settings import Settings
from gitops.store import Store
from gitops.workflows.media.starts import OfStore

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
    """The routes of docs/formats.md over one store. `render`: makes what people read; without it, this process does."""
    answers = Answers(render or here(store, settings))
    listening = live.Live(answers)
    app = FastAPI(title="TowerOS update server", version=__version__, docs_url=None, redoc_url=None)
    app.include_router(files.router(store))
    app.include_router(netboot.router(OfStore(store), store.blobs))
    app.include_router(sbom.router(store))
    app.include_router(reports.router(store))
    app.include_router(nocs.router(store, settings))
    app.include_router(hooks.router(store, settings))
    app.include_router(page.router(answers))
    app.include_router(api.router(store, answers))
    app.include_router(metrics.router(store, settings, answers))
    app.include_router(live.router(listening))
    app.state.live = listening
    return guarded(app)


def guarded(app: FastAPI) -> FastAPI:
    """With the answers, headers and bounds that every server of ours has."""
    app.add_exception_handler(HTTPException, _problem)
    app.add_exception_handler(TowerosError, _trouble)
    app.add_middleware(Secure)
    return app


@contextlib.contextmanager
def serve(app: FastAPI, listen: str, bounds: Bounds | None = None) -> Iterator[str]:
    """Serve `app` on ADDRESS:PORT (port 0: any free one) while the context lasts; gives its URL.

    Raises:
        SettingsError: the address cannot be used.
    """
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal():
        raise SettingsError(f"listen: {listen!r} is not ADDRESS:PORT")
    config = uvicorn.Config(app, host.strip("[]"), int(port), log_config=None, access_log=False, lifespan="off")
    config.http, config.ws, config.backlog = Crowd(bounds or Bounds()).protocol(), "none", AT_ONCE
    config.loop = "uvloop"
    server = uvicorn.Server(config)
    server.config.timeout_graceful_shutdown = int(START)
    thread = threading.Thread(target=_run, args=(server,), name="update-server", daemon=True)
    thread.start()
    try:
        yield _address(server, thread, listen)
    finally:
        server.should_exit = True
        if listening := getattr(getattr(app, "state", None), "live", None):
            listening.ended = True
        thread.join(2 * START)


def settled() -> None:
    """What is loaded by now stays. Without this, Python looks through all of it now and then, and nobody is answered
    for a third of a second: most often while it renders the page of a large fleet. Once per process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    sys.setswitchinterval(HAND_OVER)


def _run(server: uvicorn.Server) -> None:
    # uvicorn ends with SystemExit when it cannot listen; the waiting side sees the thread gone and says so.
    with contextlib.suppress(SystemExit):
        server.run()


def _address(server: uvicorn.Server, thread: threading.Thread, listen: str) -> str:
    end = time.monotonic() + START
    while not server.started and thread.is_alive() and time.monotonic() < end:
        time.sleep(0.02)
    if not server.started:
        raise SettingsError(f"cannot listen on {listen}", hint="is another server running? change `listen`")
    listening = server.servers[0].sockets[0]
    with listening.dup() as same:
        same.listen(QUEUE)  # asyncio takes its own number for both
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def _problem(_request: Request, error: Exception) -> Response:
    """RFC 9457."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else ""
    return problem(status, detail, error.headers if isinstance(error, HTTPException) else None)


async def _trouble(_request: Request, error: Exception) -> Response:
    return problem(503, error.message if isinstance(error, TowerosError) else "")


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
                said = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(each for each in ENCODED if each[0] not in said)]
            await send(message)

        await self._app(scope, receive, with_headers)
