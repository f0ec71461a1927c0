"""A NOC between real agents and an update server: in this process, its passes by hand."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from toweros_agent.loop import Agent

from gitops.noc.showing.state import State as Says
from gitops.noc.site import Config, Site
from tests.simulators.box import Box, Made, State, drive, make
from tests.simulators.update_server import UpdateServer

KEY, STRANGER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


@dataclass
class Noc:
    """A site, and where it is served."""

    site: Site
    url: str

    def once(self) -> Says:
        return self.site.once()

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=20)

    def says(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/api/v1/noc").json()
        return found


@contextmanager
def noc(folder: Path, server: UpdateServer, **config: Any) -> Iterator[Noc]:
    """`server` is the origin."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {"name": "site", "origin": server.url, "root": server.root, "state": folder, "listen": "127.0.0.1:0"}
    site = Site(Config(**(values | config)))
    with site.serving() as url:
        yield Noc(site, url)


def offer(server: UpdateServer, made: Made, **more: Any) -> Made:
    for root, data in made.blobs.items():
        server.add_layer(data, root)
    server.publish(made.document, made.uki, made.addon, **more)
    return made


def release(sequence: int, service: bytes = b"two") -> Made:
    return make(sequence, service=service * 9, probation=0)


def box_at(url: str, folder: Path, root: bytes) -> Box:
    """A box that runs release 7, and whose server is at `url`."""
    folder.mkdir(parents=True)
    made = Box(folder, url, root)
    made.install(release(7, b"one"))
    return made


def settle(box: Box) -> Agent:
    """Let it take what there is, until it is idle and has looked twice."""
    agent = box.power_on()
    assert agent
    for _ in range(6):
        if drive(agent, State.IDLE, State.REBOOTING) == State.REBOOTING:
            tried = box.power_on()
            assert tried
            agent = tried
    return agent


def content(server: UpdateServer) -> list[str]:
    """What was fetched of it, beside metadata."""
    return [path for path in server.paths() if path.startswith(("/layers/", "/targets/"))]


def reports(server: UpdateServer) -> list[dict[str, Any]]:
    return [json.loads(str(each["report"])) for each in server.reports]


@contextmanager
def passing(site: Site) -> Iterator[None]:
    """Pass after pass in a thread of its own, as the process does it."""
    stop = threading.Event()
    thread = threading.Thread(target=site.run_forever, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        site._hurry.set()
        thread.join(30)


def report(counter: int, key: Ed25519PrivateKey = KEY, box: str = "demo-1", **more: object) -> bytes:
    """As a box signs it."""
    text = json.dumps({"format": 1, "box": box, "boot_id": "b", "counter": counter, "phase": "idle", **more})
    public = key.public_key().public_bytes_raw().hex()
    return json.dumps({"report": text, "signature": key.sign(text.encode()).hex(), "key": public}).encode()
