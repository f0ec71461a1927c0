"""`fetch = "boxes"`: the real agent and a site's own server against the real update server, and whoever else comes."""

import asyncio
import http.client
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.exceptions import HTTPException

from gitops.lab.hardware import free_port
from gitops.model import Publication, Release, Revision
from gitops.noc.saying.contact import Contact
from gitops.noc.site import Config, Site
from gitops.rollout.unable import unable
from gitops.server import create_app, serve
from gitops.server.boxes.fetching import GIVEN_UP, SCHEME, VALID, Gate
from gitops.settings import Settings
from gitops.store.notes.netboot import BootSet, BootSets
from gitops.store.notes.reported import BoxFacts
from tests.kit.docs import CHECKOUT
from tests.kit.nocs import Noc, box_at, release, settle
from tests.kit.published import NOW, Kit, kit
from tests.simulators.box import Made


@dataclass
class Place:
    """Release 8 for `demo-1`, which is enrolled. `made`: what it is made of."""

    here: Kit
    made: Made
    key: Ed25519PrivateKey

    def settings(self, *nocs: str) -> Settings:
        return Settings(state=self.here.store.paths.root, nocs=nocs, fetch="boxes")

    @contextmanager
    def served(self, *nocs: str) -> Iterator[str]:
        with serve(create_app(self.here.store, self.settings(*nocs)), "127.0.0.1:0") as url:
            yield url

    @property
    def root(self) -> bytes:
        return (self.here.store.paths.metadata / "1.root.json").read_bytes()

    @property
    def layer(self) -> str:
        return f"/layers/{next(iter(self.made.blobs))}"

    def proof(self, challenge: str, name: str = "demo-1", key: Ed25519PrivateKey | None = None) -> str:
        signature = (key or self.key).sign(f"toweros fetch 1\n{name}\n{challenge}\n".encode())
        return f"{SCHEME} {name} {challenge} {signature.hex()}"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    here, made, key = kit(tmp_path / "origin"), release(8), Ed25519PrivateKey.generate()
    for root, data in made.blobs.items():
        file = here.folder / "layer"
        file.write_bytes(data)
        here.store.layers.add(file, root)
    blobs = [here.store.blobs.put(data) for data in (made.document, made.uki, made.addon)]
    revision = Revision("main", f"{made.sequence:040x}", 8, NOW)
    offered = Publication(Release.parse(made.document), revision, *blobs)
    here.store.offers.save_published(offered, "ab" * 32)
    here.publisher.publish([offered])
    here.store.boxes.enroll("demo-1", key.public_key().public_bytes_raw().hex())
    return Place(here, made, key)


def test_a_box_fetches_by_its_own_key_and_a_stranger_does_not(place: Place, tmp_path: Path) -> None:
    with place.served() as url:
        box = box_at(url, tmp_path / "box", place.root)
        place.here.store.boxes.revoke("demo-1")
        place.here.store.boxes.enroll("demo-1", box.key.public_key().public_bytes_raw().hex())
        agent = settle(box)
        assert (agent.boot.sequence, agent.error) == (8, "")
        document = f"/targets/demo-1/{place.here.store.offers.published('demo-1').document.sha256}.release.json"  # type: ignore[union-attr]
        for path in (place.layer, f"{place.layer}.zst", document, f"/deltas/{'0' * 64}/{'1' * 64}.zst"):
            answer = requests.get(url + path, timeout=20)
            assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith(SCHEME), path
            assert requests.head(url + path, timeout=20).status_code == 401
        assert requests.get(f"{url}/metadata/timestamp.json", timeout=20).status_code == 200
        assert requests.get(f"{url}/healthz", timeout=20).status_code == 200
    facts = place.here.store.notes.get(BoxFacts, "demo-1")
    assert facts and facts.proves and unable(place.here.store, place.settings()) == []
    place.here.store.notes.put(BoxFacts(30, 30), "demo-1")
    assert unable(place.here.store, place.settings()) == ["demo-1"], "an agent of before"
    assert unable(place.here.store, Settings(state=place.here.store.paths.root)) == []


def test_a_site_s_own_server_fetches_by_the_key_that_the_settings_name(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "noc"
    folder.mkdir()
    known = Contact(folder / "noc.key", "site-7", "").public
    for nocs, words in (((f"site-7={known}",), "up to date"), ((f"site-8={known}",), "lacks content of demo-1")):
        with place.served(*nocs) as url:
            state = folder if words == "up to date" else tmp_path / "other"
            state.mkdir(exist_ok=True)
            (state / "noc.key").write_text((folder / "noc.key").read_text())
            site = Site(Config("site-7", url, place.root, state, "127.0.0.1:0", boxes=("demo-1",)))
            with site.serving() as near:
                assert words in Noc(site, near).once().words(0)


def admits(gate: Gate, path: str, said: str) -> bool:
    try:
        asyncio.run(gate.ask(path, said))
    except HTTPException as error:
        assert error.status_code == 401
        return False
    return True


def test_what_is_forged_old_anothers_or_revoked_fetches_nothing(place: Place) -> None:
    now = [time.time()]
    gate, store = Gate(place.here.store, place.settings(), lambda: now[0]), place.here.store
    challenge = gate.challenge()
    good = place.proof(challenge)
    assert admits(gate, place.layer, good) and admits(gate, place.layer, good)
    at, _, mac = challenge.partition(".")
    stranger = Ed25519PrivateKey.generate()
    forged = [
        "", "x", f"{SCHEME} demo-1", good[:-1], good + "0", good.replace(SCHEME, "Bearer"), "\x00" * 100,
        place.proof(challenge, key=stranger), place.proof(challenge, "demo-2"), place.proof(f"{int(at) + 1}.{mac}"),
        place.proof(f"{at}.{'0' * 32}"), good.replace("demo-1", "demo-2"), place.proof(challenge, "noc/demo-1"),
    ]  # fmt: skip
    assert [said for said in forged if admits(gate, place.layer, said)] == []
    another = Gate(store, place.settings(), lambda: now[0])
    assert admits(another, place.layer, good), "two servers of one store, or one after a restart"
    now[0] += VALID + 1
    assert not admits(gate, place.layer, good), "it is over"
    fresh = place.proof(gate.challenge())
    assert admits(gate, place.layer, fresh)
    now[0] -= 2 * VALID
    assert not admits(gate, place.layer, fresh), "from a time that is to come"
    now[0] += 2 * VALID
    store.boxes.revoke("demo-1")
    assert not admits(another, place.layer, fresh)


def test_what_a_silent_box_or_one_without_a_disk_needs_stays_open(place: Place) -> None:
    """An initrd has no key: a disk that is damaged must come back by itself."""
    now, store = [time.time()], place.here.store
    published = store.offers.published("demo-1")
    assert published
    document = f"/targets/demo-1/{published.document.sha256}.release.json"
    uki, other = f"/targets/demo-1/{published.uki.sha256}.uki.efi", f"/layers/{'0' * 64}"

    def is_open(later: float) -> list[bool]:
        gate = Gate(store, place.settings(), lambda: now[0] + later)
        return [admits(gate, path, "") for path in (place.layer, f"{place.layer}.zst", document, uki, other)]

    assert is_open(0) == [False] * 5
    assert is_open(7200) == [True, True, True, False, False], "it says nothing"
    assert is_open(GIVEN_UP + 7200) == [False] * 5
    sets = BootSet(published.document.sha256, 8, "m", *[published.uki] * 3, "quiet")
    store.notes.put(BootSets((sets,)), "demo-1")
    assert is_open(0) == [True, True, True, False, False], "the network starts it"


def test_nginx_asks_for_each_file_that_it_hands_out_itself(place: Place) -> None:
    with place.served() as url:

        def asked(path: str, said: str = "") -> requests.Response:
            headers = {"X-Original-URI": path, **({"Authorization": said} if said else {})}
            return requests.get(f"{url}/api/v1/fetch", headers=headers, timeout=20)

        refused = asked(f"{place.layer}?x=1")
        assert refused.status_code == 401
        challenge = refused.headers["WWW-Authenticate"].split()[1]
        assert asked(place.layer, place.proof(challenge)).status_code == 204
        assert asked("/metadata/timestamp.json").status_code == 204


@contextmanager
def nginx_before(url: str, folder: Path) -> Iterator[str]:
    """nginx as docs/access.md has it; what it hands out is in `folder`/public."""
    port = free_port()
    text = (CHECKOUT / "docs" / "access.md").read_text().partition("```nginx\n")[2].partition("```")[0]
    for theirs, ours in {"http://127.0.0.1:8080": url, "/var/lib/toweros/public": str(folder / "public")}.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder / kind};\n" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder / 'pid'}; error_log {folder / 'error.log'};\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}server {{\nlisten 127.0.0.1:{port};\n{text}}}\n}}\n"
    )
    process = subprocess.Popen(["nginx", "-e", folder / "error.log", "-c", folder / "nginx.conf"])
    try:
        end = time.monotonic() + 20
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert process.poll() is None and time.monotonic() < end, (folder / "error.log").read_text()
            time.sleep(0.02)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def test_a_path_that_nginx_reads_otherwise_than_we_do_opens_nothing(place: Place, tmp_path: Path) -> None:
    """nginx serves what it makes of a path, and asks us by what was sent."""
    store, public = place.here.store, tmp_path / "nginx" / "public"
    (public / "layers").mkdir(parents=True)
    (public / place.layer[1:]).write_bytes(b"a layer")
    published = store.offers.published("demo-1")
    assert published
    opened = published.document.sha256
    sets = BootSet(opened, 8, "m", *[published.uki] * 3, "quiet")
    store.notes.put(BootSets((sets,)), "demo-2")  # the network starts it, so that it is open
    secret = f"/layers/{'5' * 64}"
    (public / secret[1:]).write_bytes(b"secret")
    with place.served() as url, nginx_before(url, tmp_path / "nginx") as at:

        def asked(path: str, said: str = "") -> tuple[int, bytes, str]:
            connection = http.client.HTTPConnection(at, timeout=20)
            connection.request("GET", path, headers={"Authorization": said} if said else {})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.getheader("WWW-Authenticate") or ""

        assert asked(place.layer)[:2] == (200, b"a layer"), "of what the network starts"
        status, _, challenge = asked(secret)
        assert status == 401 and challenge.startswith(SCHEME)
        for path in (
            f"/metadata/..{secret}", f"/{secret}", f"/./{secret}", f"/%6cayers/{'5' * 64}", f"/healthz/%2e%2e{secret}",
            f"/targets/demo-1/{opened}./../../..{secret}", f"{place.layer}/..{secret}", f"http://x/metadata/..{secret}",
            f"/layers/../layers/{'5' * 64}", f"/x%3f/..{secret}", f"/layers//{'5' * 64}",
        ):  # fmt: skip
            assert asked(path)[:1] != (200,) and b"secret" not in asked(path)[1], path
        proof = place.proof(challenge.split()[1])
        assert asked(secret, proof)[:2] == (200, b"secret")


def test_who_does_not_ask_for_it_gets_files_as_ever(place: Place) -> None:
    app = create_app(place.here.store, Settings(state=place.here.store.paths.root))
    with serve(app, "127.0.0.1:0") as url:
        assert requests.get(url + place.layer, timeout=20).status_code == 200
