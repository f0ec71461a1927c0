"""What a NOC shows: `/` for people, `/api/v1/noc` for programs, `/metrics`, `/healthz`, `/readyz`.

Rules: everything is escaped; no scripts; nothing here is secret, and nothing can be changed.
"""

import time
from collections import Counter
from collections.abc import Callable
from html import escape

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse

from gitops.noc.showing.state import Outcome, State
from gitops.review.words import moment

REFRESH = 30
"""Seconds after which a browser loads the page again."""


def router(state: Callable[[], State]) -> APIRouter:
    """The pages of `state`, asked for anew each time."""
    routes = APIRouter()

    @routes.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def index() -> HTMLResponse:
        return HTMLResponse(page(state(), time.time()))

    @routes.get("/api/v1/noc")
    async def api() -> Response:
        return JSONResponse(state().as_json(time.time()))

    @routes.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(exposition(state()), media_type=CONTENT_TYPE_LATEST)

    @routes.get("/healthz", response_class=PlainTextResponse, include_in_schema=False)
    async def healthz() -> str:
        return "ok\n"

    @routes.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        holds = state().expires > time.time()
        return JSONResponse({"ready": holds}, 200 if holds else 503)

    return routes


def page(state: State, now: float) -> str:
    """One HTML document."""
    rows = {
        "Says": state.words(now),
        "Origin": state.origin,
        "Last contact": moment(state.contact) if state.contact else "never",
        "Signed until": moment(state.expires) if state.expires else "nothing is signed here yet",
        "Disk": f"{state.used:,} of {state.most:,} bytes",
        "Last bundle": state.bundle or "none",
        "Reports that wait": str(sum(state.waiting.values())),
    }
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows.items())
    boxes = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(_content(state, name))}</td><td>{state.waiting.get(name, 0)}</td>"
        f"<td>{escape(_built(state, name))}</td></tr>"
        for name, why in sorted(state.boxes.items())
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="{REFRESH}">'
        f"<title>NOC {escape(state.name)}</title><style>body{{font:15px/1.5 system-ui,sans-serif;max-width:60rem;"
        "margin:2rem auto;padding:0 1rem;color-scheme:light dark}td,th{text-align:left;padding-right:1rem}</style>"
        f"</head><body><h1>NOC {escape(state.name)}</h1><dl>{facts}</dl>"
        "<table><tr><th>Box</th><th>Content</th><th>Reports that wait</th><th>Built here</th></tr>"
        f"{boxes}</table></body></html>"
    )


def _content(state: State, box: str) -> str:
    return "; ".join(filter(None, (state.boxes[box] or "all here", state.fallen.get(box, ""))))


def _built(state: State, box: str) -> str:
    proof = state.proofs.get(box)
    return f"{proof.outcome}: {proof.says}" if proof else "-"


def exposition(state: State) -> bytes:
    """The Prometheus text format."""
    registry = CollectorRegistry()

    def gauge(name: str, words: str, value: float) -> None:
        Gauge(f"toweros_noc_{name}", words, registry=registry).set(value)

    gauge("origin_contact_seconds", "Unix time at which the origin was last reached.", state.contact)
    gauge("origin_away", "1 while the origin is out of reach, or not believed.", bool(state.since))
    gauge("expires_seconds", "Unix time until which boxes take what is shown.", state.expires)
    gauge("boxes", "Boxes whose content is kept.", len(state.boxes))
    gauge("boxes_lacking", "Boxes whose content is not all here.", sum(map(bool, state.boxes.values())))
    gauge("boxes_fallen_back", "Boxes that the network started three times in vain.", len(state.fallen))
    gauge("used_bytes", "Bytes of content.", state.used)
    gauge("most_bytes", "Bytes that content may take.", state.most)
    gauge("reports_waiting", "Reports that the origin has not got.", sum(state.waiting.values()))
    gauge("reports_dropped", "Reports that went for lack of room.", state.dropped)
    outcomes = Counter(proof.outcome for proof in state.proofs.values())
    gauge("boxes_proven", "Boxes whose release was built here, and is the same.", outcomes[Outcome.SAME])
    gauge("boxes_different", "Boxes whose release is not what Git says: an alarm.", len(state.alarms))
    return generate_latest(registry)
