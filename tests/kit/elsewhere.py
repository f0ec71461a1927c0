"""An origin with real metadata and real layers, whose files are published elsewhere too; and who has them there."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.types import ASGIApp, Receive, Scope, Send

from gitops.lab.hardware import free_port
from gitops.model import Publication, Release, Revision
from gitops.publish.elsewhere.copying import Copied, Copying, Memory
from gitops.publish.elsewhere.place import Place
from gitops.publish.elsewhere.tree import Tree
from gitops.server import create_app, serve
from gitops.settings import Settings
from tests.kit.nocs import box_at
from tests.kit.published import NOW, Kit
from tests.simulators.box import Box, Made

PATIENCE = 60


class Recorded:
    """Writes down what is asked."""

    def __init__(self, app: ASGIApp, asked: list[str]) -> None:
        self._app, self._asked = app, asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._asked.append(f"{scope['method']} {scope['path']}")
        await self._app(scope, receive, send)


class Origin:
    """One store, served, with the box `demo-1`."""

    def __init__(self, made: Kit) -> None:
        self.kit, self.store, self.asked, self.url = made, made.store, list[str](), ""
        self.tree = Tree(made.store, made.publisher.offered)

    @contextlib.contextmanager
    def served(self, **settings: Any) -> Iterator["Origin"]:
        app = create_app(self.store, Settings(state=self.store.paths.root, **settings))
        app.add_middleware(Recorded, asked=self.asked)
        with serve(app, "127.0.0.1:0") as self.url:
            yield self

    def offer(self, made: Made) -> None:
        for root, data in made.blobs.items():
            file = self.kit.folder / "layer"
            file.write_bytes(data)
            self.store.layers.add(file, root)
        refs = [self.store.blobs.put(data) for data in (made.document, made.uki, made.addon)]
        revision = Revision("main", f"{made.sequence:040x}", made.sequence, NOW)
        publication = Publication(Release.parse(made.document), revision, *refs)
        self.kit.publisher.publish([publication])
        self.store.offers.save_published(publication, "key")

    def content(self) -> list[str]:
        """What was asked of it, beside metadata and reports."""
        return [each for each in self.asked if " /layers/" in each or " /targets/" in each]

    def reported(self) -> int:
        """What the box says that it runs."""
        found = self.store.boxes.report("demo-1")
        return found.sequence if found else 0

    def box(self, folder: Path, *copies: str) -> Box:
        """One that runs release 7, and is told of copies there."""
        made = box_at(self.url, folder, (self.kit.folder / "keys/1.root.json").read_bytes())
        drop_ins = made.places.etc / "agent.d"
        drop_ins.mkdir(parents=True, exist_ok=True)
        (drop_ins / "50-box.toml").write_text("poll = 1\n")
        (drop_ins / "61-copies.toml").write_text(f"copies = {json.dumps(copies)}\n")
        key = made.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.store.boxes.enroll("demo-1", key.hex())
        return made


class Copies:
    """Passes over one place, with what is remembered between them."""

    def __init__(self, origin: Origin, place: Place, grace: int = 3600) -> None:
        self.origin, self.place, self.grace = origin, place, grace
        self.memory, self.now = Memory(), time.time()
        self.again()

    def again(self) -> None:
        """Another process."""
        self._copying = Copying(self.origin.tree, self.place, self.grace)

    def once(self, later: float = 0.0) -> Copied:
        self.now += later
        copied = self._copying.run(self.memory, self.now)
        self.memory = copied.memory
        return copied


@contextlib.contextmanager
def process(words: list[str], port: int, log: Path, **more: Any) -> Iterator[None]:
    """A server of others, from when it listens; it ends with the context."""
    with log.open("wb") as said, subprocess.Popen(words, stdout=said, stderr=said, **more) as running:
        try:
            wait(lambda: _listens(port), running, log)
            yield
        finally:
            running.terminate()
            running.wait(PATIENCE)


def wait(ready: Callable[[], bool], running: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not ready():
        assert running.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[str]:
    """The address of a store that speaks S3's API: moto's server."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    with process([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port, folder / "log"):
        yield f"http://127.0.0.1:{port}"


REGISTRY = """version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {folder}}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@contextlib.contextmanager
def docker_registry(folder: Path) -> Iterator[str]:
    """HOST:PORT of Debian's docker-registry."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yml").write_text(REGISTRY.format(folder=folder / "data", port=port))
    with process(["docker-registry", "serve", str(folder / "config.yml")], port, folder / "log"):
        yield f"127.0.0.1:{port}"
