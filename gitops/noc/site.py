"""The process of a NOC: passes, one after the other, beside a server that answers from what they left.

In: where the origin is, a folder, whose content. Out: boxes that are served. Rules: nothing that the origin does or
leaves out ends it; a folder has one process; what a box calls damaged is looked at again by the next pass.

    with Site(config).serving() as url:
        site.run_forever(stop)
"""

import contextlib
import fcntl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gitops import __version__
from gitops.errors import StoreError, TowerosError, readable
from gitops.model import Layer
from gitops.noc.carried.places import opened
from gitops.noc.copy import Copy
from gitops.noc.media import NAME
from gitops.noc.mirror import Mirror, shown_until, told
from gitops.noc.origin import DIGEST, WAITS, Origin
from gitops.noc.proving.making import Bench
from gitops.noc.proving.own import Own
from gitops.noc.proving.prover import FOLDER, Prover
from gitops.noc.saying import relaying
from gitops.noc.saying.contact import Contact
from gitops.noc.saying.relaying import Relay
from gitops.noc.saying.reports import Reports
from gitops.noc.showing import pages
from gitops.noc.showing.state import State, Told
from gitops.noc.starting.ground import Ground
from gitops.noc.starting.telling import Telling
from gitops.noc.trust import TrustError
from gitops.noc.whose.boxes import Boxes
from gitops.noc.whose.chosen import Chosen
from gitops.server.app import guarded, serve
from gitops.server.boxes import files, netboot
from gitops.settings import Settings

log = structlog.get_logger(__name__)

PASS = 3600.0
"""Seconds of one pass: the next one goes on where it stopped."""
LEAST = 2.0
"""Seconds between two passes, however many ask under new names, or call something damaged."""
DOUBTS = 100
"""Names that are looked at again by one pass."""
IMAGES = (".iso", ".img")


@dataclass(frozen=True)
class Config:
    """What a NOC is told. `poll`: seconds between passes; `most`: bytes of content."""

    name: str
    origin: str
    root: bytes
    state: Path
    listen: str
    boxes: tuple[str, ...] = ()
    boxes_file: Path | None = None
    site: str = ""
    labels: tuple[str, ...] = ()
    """Whose content besides: of the boxes of which the signed metadata say all of this."""
    poll: float = 30.0
    most: int = 20 << 30
    bundles: Path | None = None
    """Where sticks are mounted, or images of them lie: the folder itself, or those in it."""
    repo: Settings | None = None
    """The fleet repo, and how its packages are built: what is offered is built here as well, and compared."""
    build: bool = False
    """Layers are fetched only where they cannot be built here."""


class Site:
    """One NOC."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.copy = Copy(config.state, config.most)
        self.origin = Origin(config.origin)
        self.prover = _prover(config, self.copy)
        source = Own(self.origin, self.prover.layers) if self.prover else self.origin
        self._doubted, self._layers = set[str](), dict[str, Layer]()
        self.ground = Ground(self.copy, self._look_again)
        watch = self.prover.offered if self.prover else None
        self.mirror = Mirror(self.copy, source, config.root, watch, self.ground)
        self.chosen = Chosen(config.site, config.labels)
        memory = config.state / "asked.json"
        self.boxes = Boxes(memory, config.boxes, config.boxes_file, signed=bool(self.chosen))
        self.relay = Relay(config.origin, Reports(self.copy.reports), heard=self._said)
        state = State(config.name, config.origin, int(time.time()), most=config.most)
        self.told = Told(replace(state, site=config.site, labels=config.labels))
        self.contact = Contact(config.state / "noc.key", config.name, config.origin)
        self.origin.prove = self.contact.prove
        self.telling = Telling(self.contact.starts)
        self._seen = dict[Path, int]()
        self._hurry = threading.Event()
        self._show()

    def app(self) -> FastAPI:
        """The routes of docs/formats.md that boxes need, over the copy, and pages of our own."""
        app = FastAPI(title="TowerOS NOC", version=__version__, docs_url=None, redoc_url=None)
        app.include_router(files.router(self.copy))
        app.include_router(netboot.router(self.ground, self.copy.blobs))
        app.include_router(relaying.router(self.relay, self.heard, self.boxes.knows))
        app.include_router(pages.router(self.state))
        guarded(app).add_middleware(Listening, site=self)
        return app

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Serve while the context lasts; gives the URL.

        Raises:
            StoreError: another process has the folder. SettingsError: the address cannot be used.
        """
        with self.alone(), serve(self.app(), self.config.listen) as url:
            yield url

    def run_forever(self, stop: threading.Event) -> None:
        with self.prover.working() if self.prover else contextlib.nullcontext():
            while not stop.is_set():
                self.once()
                stop.wait(min(LEAST, self.config.poll))
                self._hurry.wait(self.config.poll)
                self._hurry.clear()

    def once(self) -> State:
        """A pass; whatever goes wrong is said, and tried again."""
        try:
            self._pass()
        except Exception as error:  # a NOC that ends helps nobody
            self._failed(readable(error))
        for folder in self._carried():
            self._try_bundle(folder)
        return self._show()

    def _carried(self) -> list[Path]:
        """Folders with a bundle that was not there, or was another one, when we last looked."""
        place = self.config.bundles
        with contextlib.suppress(OSError):
            folders = [place, *sorted(place.iterdir())[:DOUBTS]] if place else []
            files = {each: each if each.suffix in IMAGES else each / NAME for each in folders}
            found = {each: file.stat().st_mtime_ns for each, file in files.items() if file.is_file()}
            new = [each for each in found if self._seen.get(each) != found[each]]
            self._seen = found
            return new
        return []

    def _try_bundle(self, folder: Path) -> None:
        try:
            words = f"took {', '.join(self.take_in(folder))}"
        except Exception as error:  # whatever somebody plugs in
            words = f"refused: {readable(error).message}"
        log.info("noc.bundle", folder=str(folder), words=words)
        self.told.change(bundle=f"{folder}: {words}"[:2000])

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """No other process has the folder. Raises StoreError."""
        with (self.config.state / "lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                hint = "each has a folder of its own; one that runs takes bundles from --bundles DIR"
                raise StoreError(f"another NOC uses {self.config.state}", hint=hint) from error
            yield

    def take_in(self, folder: Path) -> list[str]:
        """Take what a folder, image or stick holds that was carried here. Returns the boxes that it has all of.

        Raises:
            TowerosError: it is refused, damaged, or not all there.
        """
        with opened(folder) as bundle:
            passed = Mirror(self.copy, bundle.source, self.config.root, ground=self.ground).run(bundle.words.boxes)
        if passed.lacking:
            box, why = next(iter(passed.lacking.items()))
            raise StoreError(f"{folder}: {box}: {why}", hint="make the bundle again; what came whole was kept")
        self._layers |= passed.layers
        for box in passed.offers.boxes:
            self.boxes.heard(box)
        self.boxes.save()
        self._show()
        return sorted(passed.offers.boxes)

    def heard(self, name: str) -> None:
        """Somebody asks as this box: one that is new is not kept waiting for the next pass."""
        if self.boxes.heard(name):
            self._hurry.set()

    def doubt(self, path: str) -> None:
        """A box found something damaged."""
        if (found := DIGEST.search(path)) and len(self._doubted) < DOUBTS:
            self._doubted.add(found[0])
            self._hurry.set()

    def _look_again(self, digest: str) -> None:
        """It was handed out by the network, and who fetches it can call nothing damaged."""
        if len(self._doubted) < DOUBTS:
            self._doubted.add(digest)

    def _said(self, name: str, body: bytes, taken: bool) -> None:
        self.ground.hear(name, body, taken=taken)

    def state(self) -> State:
        """As of now: a build ends, and machines start, between two passes."""
        fallen = self.ground.fallen(int(time.time()))
        return self.told.change(fallen=fallen, **({"proofs": self.prover.proofs} if self.prover else {}))

    def away(self) -> int:
        """Since when nobody could say that a report arrived (Unix seconds), also behind the NOC that is our origin; 0:
        somebody can."""
        return int(self.relay.away or self.origin.waits)

    def _pass(self) -> None:
        self.origin.until = time.monotonic() + PASS
        names, self._doubted = self._doubted, set()
        self.mirror.mend(names, self._layers)
        passed = self.mirror.run(self.boxes.wanted(), self.chosen)
        self._layers = passed.layers or self._layers
        self.boxes.forget(passed.offers.unknown)
        self.boxes.stand_here(passed.offers.boxes)
        self.boxes.save()
        lacking = {box: passed.lacking.get(box, "") for box in passed.offers.boxes}
        if self.prover:
            self.prover.offered(passed)
        if passed.away:
            raise StoreError(passed.away)
        self.told.reached(boxes=lacking, unknown=passed.offers.unknown)
        self.relay.drain()
        told = self.contact.send(self._show()), self.telling.tell(self.ground.counts(int(time.time())))
        for problem in filter(None, told):
            log.info("noc.contact", problem=problem)

    def _failed(self, error: TowerosError) -> None:
        if not self.told.get().since:
            log.warning("noc.pass_failed", why=told(error))
        self.told.failed(told(error))
        if isinstance(error, TrustError):  # it is there: from an older backup, say, and only reports tell it so
            self.relay.drain()
        else:
            self.relay.gone()

    def _show(self) -> State:
        """What is on the disk, whoever put it there."""
        with contextlib.suppress(OSError):
            until, reports = shown_until(self.copy.metadata), self.relay.reports
            values = {"expires": int(until), "used": self.copy.used(), "dropped": reports.dropped}
            proofs = self.prover.proofs if self.prover else {}
            fallen = self.ground.fallen(int(time.time()))
            self.told.change(**values, waiting=dict(reports.waiting()), proofs=proofs, fallen=fallen)
        return self.told.get()


def _prover(config: Config, copy: Copy) -> Prover | None:
    """What builds again, if there is a fleet repo. Its store, clone and builder are its own."""
    if config.repo is None:
        return None
    settings = config.repo.model_copy(update={"state": config.state / FOLDER, "database": "", "database_file": None})
    return Prover(copy, lambda: Bench.of(settings), config.state, first=config.build)


class Listening:
    """Hears who asks, and what boxes call damaged: `Cache-Control: no-cache` on what never changes."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app, self._site = app, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            if path.startswith(("/targets/", "/metadata/boxes/")):
                self._site.heard(path.split("/")[3 if path[1] == "m" else 2])
            headers = dict(scope["headers"])
            if headers.get(b"cache-control") == b"no-cache" and path.startswith(("/targets/", "/layers/")):
                self._site.doubt(path)
        stamp = scope.get("path", "").endswith("/timestamp.json")
        await self._app(scope, receive, self._waiting(send) if stamp else send)

    def _waiting(self, send: Send) -> Send:
        """Boxes hear with the first thing that they ask for that the origin is away: they begin no trial then."""

        async def said(message: Message) -> None:
            if message["type"] == "http.response.start" and (since := self._site.away()):
                message["headers"] = [*message["headers"], (WAITS.encode(), str(since).encode())]
            await send(message)

        return said
