"""nginx in front of two update servers on one PostgreSQL (contrib/nginx/toweros-front.conf): all of it is real.

A server dies and nobody is told; a report is taken once, whoever takes it, and its receipt comes through; what is for
people is for those networks that are named.
"""

import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gitops.lab.hardware import free_port
from gitops.model import canonical
from gitops.publish import Publisher
from gitops.server.listeners import listening
from gitops.settings import Settings
from gitops.sign import Signer
from gitops.store import Store
from tests.kit.authority import Authority
from tests.kit.contracts import good
from tests.kit.nginx import nginx
from tests.kit.published import Kit, kit

PATIENCE = 30


class Front:
    """Two servers and nginx before them."""

    def __init__(self, folder: Path, here: Kit, database: str, stack: ExitStack) -> None:
        self.servers, self.port, authority = [ExitStack(), ExitStack()], free_port(), Authority()
        urls = []
        for server in self.servers:
            store, people = Store.open(here.store.paths.root, database), f"127.0.0.1:{free_port()}"
            settings = Settings(state=here.store.paths.root, listen="127.0.0.1:0", people_listen=people)
            urls.append(server.enter_context(listening(store, settings)))
            stack.push(server)
        authority.server("127.0.0.1", folder / "server.pem")
        ours = {
            "127.0.0.1:8080": urls[0].boxes.removeprefix("http://"),
            "127.0.0.1:8082": urls[1].boxes.removeprefix("http://"),
            "127.0.0.1:8081": urls[1].people.removeprefix("http://"),
            "listen 8443 ssl": f"listen 127.0.0.1:{self.port} ssl",
            "/etc/nginx/toweros.crt": str(folder / "server.pem"),
            "/etc/nginx/toweros.key": str(folder / "server.pem"),
        }
        said = stack.enter_context((folder / "error.log").open("wb"))
        self._nginx = subprocess.Popen(nginx(folder, "toweros-front.conf", ours), stderr=said)
        stack.callback(self._nginx.wait, PATIENCE)
        stack.callback(self._nginx.terminate)
        (folder / "ca.pem").write_text(authority.pem)
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        self.web = stack.enter_context(
            httpx.Client(base_url=f"https://127.0.0.1:{self.port}", verify=context, timeout=PATIENCE, trust_env=False)
        )
        end = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._nginx.poll() is None and time.monotonic() < end, (folder / "error.log").read_text()
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return self.web.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def here(tmp_path: Path, database: str) -> Kit:
    """What a controller published, on that database."""
    made = kit(tmp_path / "fleet")
    store = Store.open(tmp_path / "state", database, migrate=True)
    signer = Signer.open(made.folder / "keys", store)
    here = Kit(made.folder, store, signer, Publisher(store, signer))
    with store.lease.held():
        here.publisher.publish([here.publication("demo-1", 1)])
    return here


@pytest.fixture
def front(tmp_path: Path, here: Kit, database: str) -> Iterator[Front]:
    with ExitStack() as stack:
        yield Front(tmp_path, here, database, stack)


def report(key: Ed25519PrivateKey, counter: int) -> bytes:
    said = {"boot_id": "b", "counter": counter, "sequence": 1, "phase": "idle", "health": "Healthy"}
    text = canonical(good("report", "first-boot", **said))
    return canonical(good("envelope", "idle", report=text.decode(), signature=key.sign(text).hex()))


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_server_dies_and_no_box_is_told(here: Kit, front: Front) -> None:
    key = Ed25519PrivateKey.generate()
    here.store.boxes.enroll("demo-1", key.public_key().public_bytes_raw().hex())
    place = "/api/v1/boxes/demo-1/report"
    first = front.web.post(place, content=report(key, 1))
    assert first.status_code == 204 and first.headers["toweros-receipt"]
    answers = [front.web.post(place, content=report(key, 1)).status_code for _ in range(4)]
    assert answers == [409] * 4, "replayed, whoever is asked"
    front.servers[0].close()
    asked = [front.web.get("/metadata/timestamp.json").status_code for _ in range(12)]
    assert asked == [200] * 12
    layer = next(path.name for path in here.store.paths.layers.iterdir() if len(path.name) == 64)
    assert front.web.get(f"/layers/{layer}").status_code == 200
    retried = (front.web.post(place, content=report(key, 2)).status_code for _ in range(3))
    assert 204 in retried, "the box repeats a report that was not answered"
    seen = here.store.boxes.report("demo-1")
    assert seen is not None and seen.counter == 2


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_what_passes_and_what_does_not(here: Kit, front: Front) -> None:
    del here
    assert front.web.get("/").status_code == 200
    assert front.web.get("/api/v1/boxes").status_code == 200
    assert front.web.get("/login").status_code == 200, "people's listener"
    for side in ("box", "person"):
        assert "nobody asked" in front.web.get(f"/api/v1/remote/demo-1.{'0' * 16}/{side}").text, "a server for boxes"
    assert front.web.get("/metrics").status_code == 404
    assert front.web.post("/metadata/timestamp.json").status_code == 403
    assert front.web.delete("/api/v1/boxes/demo-1/report").status_code == 403
    assert front.web.post("/api/v1/boxes/demo-1/report", content=b"x" * 300_000).status_code == 413
    assert front.web.get("/metadata/..%2f..%2ftoweros.db").status_code in (400, 404)
