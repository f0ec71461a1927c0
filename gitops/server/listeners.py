"""The two listeners of an update server: one for boxes, one for people.

In: a store, settings. Out: both serve while the context lasts. Rules: what is for people is not found at the listener
of boxes, and the other way round; both at one address is for one machine alone (the settings refuse another one);
without `people_listen` there is none for people.

    with listening(store, settings, render) as urls:
        urls.boxes, urls.people
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import structlog

from gitops.server.app import boxes_app, create_app, people_app, serve
from gitops.server.people.rendering import Render
from gitops.server.secured import Tls
from gitops.settings import Settings
from gitops.settings.values import is_loopback
from gitops.store import Store

log = structlog.get_logger(__name__)


class Urls(NamedTuple):
    """Where they are; `people` is empty where there is none."""

    boxes: str
    people: str

    def __str__(self) -> str:
        return f"for boxes on {self.boxes} and for people " + (f"on {self.people}" if self.people else "nowhere")


@contextmanager
def listening(store: Store, settings: Settings, render: Render | None = None) -> Iterator[Urls]:
    """Raises:
    SettingsError: an address or a certificate cannot be used.
    """
    boxes, people = tls(settings.tls_cert, settings.tls_key), tls(settings.people_tls_cert, settings.people_tls_key)
    if settings.people_listen == settings.listen:
        with serve(create_app(store, settings, render), settings.listen, tls=boxes, proxies=settings.proxies) as url:
            yield Urls(url, url)
    elif not settings.people_listen:
        with serve(boxes_app(store, settings), settings.listen, tls=boxes, proxies=settings.proxies) as url:
            yield Urls(url, "")
    else:
        app = people_app(store, settings, render)
        with (
            serve(boxes_app(store, settings), settings.listen, tls=boxes, proxies=settings.proxies) as url,
            serve(app, settings.people_listen, tls=people, proxies=settings.proxies, called="people_listen") as at,
        ):
            if app.state.gate.open() and not is_loopback(settings.people_listen):
                log.warning("people.open", at=at, hint="toweros people add NAME, or `oidc`; docs/people.md")
            yield Urls(url, at)


def tls(certificate: Path | None, key: Path | None) -> Tls | None:
    """None: plain HTTP."""
    return Tls(certificate, key) if certificate and key else None
