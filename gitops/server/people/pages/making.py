"""Every page and every JSON, by what is asked for.

In: a store, settings, and an `Asked`. Out: bytes: HTML in which all that others said is escaped by jinja2, or JSON that
says the same.

    make = maker(store, settings)
    make(Asked(Document.fleet, query="health=Missing", html=True))
"""

import gzip
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader

from gitops.model import Json, sha256
from gitops.review.words import ago, lasted, moment, short
from gitops.rollout.progress import Progress
from gitops.server.people import metrics
from gitops.server.people.acts import listed
from gitops.server.people.documents import Asked, Document
from gitops.server.people.guard.viewer import NOBODY_IN_PARTICULAR, Viewer
from gitops.server.people.pages import activity, box, keys, security
from gitops.server.people.pages.commits import CommitPages
from gitops.server.people.pages.fleet import FleetPage
from gitops.server.people.pages.progress import work
from gitops.server.people.pages.scope import Scope
from gitops.server.people.pages.snapshot import Snapshots
from gitops.server.people.pages.words import navigation, size, state
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.history.events import Wanted
from gitops.store.notes.documents import Status

Values = Callable[[Asked], dict[str, Any]]
LEVEL = 5
"""Of gzip: half a millisecond for the first page, which is a seventh of its size then."""


def maker(store: Store, settings: Settings) -> Callable[[Asked], bytes]:
    """What makes all of them."""
    snapshots, env = Snapshots(store), environment()
    pages, documents = _pages(store, settings, snapshots), _documents(store, settings, snapshots)

    def plain(asked: Asked) -> bytes:
        if not asked.html:
            return documents[asked.document](asked)
        values: dict[str, Any] = {"now": int(time.time()), "who": asked.who} | pages[asked.document](asked)
        template = env.get_template(f"{asked.document}.html")
        return template.render(document=asked.document, navigation=navigation(asked.who), **values).encode(
            errors="replace"
        )

    return lambda asked: gzip.compress(plain(asked), LEVEL, mtime=0) if asked.packed else plain(asked)


def _pages(store: Store, settings: Settings, snapshots: Snapshots) -> Mapping[Document, Values]:
    fleet, commits = FleetPage(store, settings, snapshots), CommitPages(store, snapshots)
    return {
        Document.fleet: fleet.fleet,
        Document.sites: fleet.sites,
        Document.box: lambda asked: box.box_page(store, asked, int(time.time())),
        Document.commits: commits.commits,
        Document.commit: commits.commit,
        Document.activity: lambda asked: activity.activity(store, asked),
        Document.advisories: lambda asked: security.advisories(store, asked),
        Document.keys: lambda asked: keys.keys(store, asked, int(time.time())),
        Document.audit: lambda asked: listed.audit(store, asked),
    }


def _documents(store: Store, settings: Settings, snapshots: Snapshots) -> Mapping[Document, Callable[[Asked], bytes]]:
    fleet, commits = FleetPage(store, settings, snapshots), CommitPages(store, snapshots)
    rows: dict[Document, Callable[[Asked], Json]] = {
        Document.fleet: fleet.boxes,
        Document.sites: fleet.sites_json,
        Document.commits: commits.commits_json,
        Document.commit: commits.commit_json,
        Document.activity: lambda asked: activity.activity_json(store, asked),
        Document.advisories: lambda asked: security.security_json(store, asked),
        Document.keys: lambda asked: keys.keys_json(store, asked, int(time.time())),
        Document.audit: lambda asked: listed.audit_json(store, asked),
        Document.rollout: lambda _: Progress.of(store).as_json(),
    }
    made = {document: _text(make) for document, make in rows.items()}
    made[Document.metrics] = lambda _: metrics.everything(store, settings)
    made[Document.tick] = lambda asked: tick(store, asked.who)
    return made


def tick(store: Store, who: Viewer = NOBODY_IN_PARTICULAR) -> bytes:
    """Another word when something happened, a pass was made, or the controller is further. For who sees some sites
    alone: when something happened there; it tells nobody how much happens elsewhere."""
    if not who.whole:
        newest = store.events.of(Wanted(Scope.of(store, who).asked), 1)
        return sha256(repr(newest).encode())[:16].encode()
    status = store.notes.get(Status) or Status()
    return f"{store.events.newest()}-{status.polled}-{work(store).at}".encode()


def _text(make: Callable[[Asked], Json]) -> Callable[[Asked], bytes]:
    return lambda asked: json.dumps(make(asked), ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def environment() -> Environment:
    """Templates with everything escaped."""
    loader = PackageLoader("gitops.server.people")
    env = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    env.filters |= {"ago": ago, "moment": moment, "short": short, "lasted": lasted, "size": size}
    env.globals["state"] = state
    return env
