"""The real update server as the origin: it shows when it last heard a NOC, and believes nobody else."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gitops.errors import StoreError
from gitops.model import Publication, Release, Revision, canonical
from gitops.noc.saying.contact import Contact
from gitops.noc.showing.state import State as Says
from gitops.noc.site import Config, Site
from gitops.server import create_app, serve
from gitops.settings import Settings
from tests.kit.nocs import Noc, box_at, release, settle
from tests.kit.published import NOW, Kit, kit
from tests.simulators.box import Made


def publication(here: Kit, made: Made) -> Publication:
    for root, data in made.blobs.items():
        file = here.folder / "layer"
        file.write_bytes(data)
        here.store.layers.add(file, root)
    blobs = [here.store.blobs.put(data) for data in (made.document, made.uki, made.addon)]
    return Publication(Release.parse(made.document), Revision("main", f"{made.sequence:040x}", 8, NOW), *blobs)


@contextmanager
def origin(here: Kit, *nocs: str) -> Iterator[str]:
    with serve(create_app(here.store, Settings(state=here.store.paths.root, nocs=nocs)), "127.0.0.1:0") as url:
        yield url


@pytest.fixture
def here(tmp_path: Path) -> Kit:
    made = kit(tmp_path / "origin")
    made.publisher.publish([publication(made, release(8))])
    return made


def test_the_origin_shows_a_noc_that_it_knows_and_takes_its_boxes_reports(here: Kit, tmp_path: Path) -> None:
    folder, root = tmp_path / "noc", here.store.paths.metadata / "1.root.json"
    folder.mkdir()
    known = Contact(folder / "noc.key", "site-7", "").public
    with ExitStack() as stack:
        url = stack.enter_context(origin(here, f"site-7={known}", f"site-8={known}"))
        site = Site(Config("site-7", url, root.read_bytes(), folder, "127.0.0.1:0", boxes=("demo-1",)))
        near = Noc(site, stack.enter_context(site.serving()))
        assert near.once().words(0) == "up to date"
        box = box_at(near.url, tmp_path / "box", root.read_bytes())
        here.store.boxes.enroll("demo-1", box.key.public_key().public_bytes_raw().hex())
        agent = settle(box)
        report = here.store.boxes.report("demo-1")
        assert (agent.boot.sequence, agent.trial) == (8, False) and report and report.sequence == 8
        said = requests.get(f"{url}/api/v1/nocs", timeout=20).json()["nocs"]
        assert (said["site-7"]["boxes"], said["site-7"]["says"], said["site-8"]) == (1, "up to date", None)
        assert "up to date; 1 boxes" in requests.get(url, timeout=20).text
        assert 'contact_timestamp_seconds{noc="site-8"} 0.0' in requests.get(f"{url}/metrics", timeout=20).text


def test_who_is_not_in_the_settings_or_says_it_twice_is_not_heard(here: Kit, tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    with origin(here, f"site-7={key.public_key().public_bytes_raw().hex()}") as url:

        def say(name: str, time: int, by: Ed25519PrivateKey = key, noc: str = "site-7") -> int:
            text = canonical({"format": 1, "noc": noc, "time": time})
            body = canonical({"contact": text.decode(), "signature": by.sign(text).hex()})
            return requests.post(f"{url}/api/v1/nocs/{name}/contact", body, timeout=20).status_code

        stranger = Ed25519PrivateKey.generate()
        assert [say("site-7", 5), say("site-7", 5), say("site-7", 4), say("site-7", 6)] == [204, 409, 409, 204]
        assert [say("site-7", 7, stranger), say("site-9", 7), say("site-7", 7, noc="site-9")] == [403, 403, 403]
        for body in (b"", b"[" * 9999, b'{"contact":"x","signature":"00"}', b"x" * (1 << 20)):
            assert requests.post(f"{url}/api/v1/nocs/site-7/contact", body, timeout=20).status_code in (400, 413)
        assert Contact(tmp_path / "key", "other", url).send(Says("other", url, 0)).endswith("HTTP 403")


def test_a_key_that_is_damaged_is_said(tmp_path: Path) -> None:
    (tmp_path / "noc.key").write_text("x")
    with pytest.raises(StoreError, match="is damaged"):
        Contact(tmp_path / "noc.key", "site-7", "")
