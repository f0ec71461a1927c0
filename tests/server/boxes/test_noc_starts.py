"""Machines that the network starts from their site's own server: a real controller and its server, a real NOC, the
requests of firmware, and an origin that goes."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gitops.model import Publication, canonical
from gitops.noc.site import Config
from gitops.noc.site import Site as NocSite
from gitops.server.app import create_app, serve
from gitops.store.notes.netboot import BootSet, BootSets
from gitops.workflows.media.netboot import Netboot
from tests.kit import firmware
from tests.kit.contracts import good
from tests.kit.netboot import MAC, UUID, boot_set
from tests.kit.site import HELLO, Site

A_START = 150
"""Seconds from power to a watchdog's reset, and to the next request."""
KEY = Ed25519PrivateKey.generate()


@dataclass
class Field:
    """A fleet with the box b at the roof, its origin, and the roof's NOC."""

    fleet: Site
    folder: Path
    stack: ExitStack
    origin: str = ""
    noc: NocSite = field(init=False)
    url: str = ""
    ahead: float = 0.0
    counter: int = 0
    _origin: ExitStack = field(default_factory=ExitStack)

    def open(self, **settings: object) -> None:
        """At its address of before."""
        app = create_app(self.fleet.store, self.fleet.settings.model_copy(update=settings))
        listen = self.origin.removeprefix("http://") or "127.0.0.1:0"
        self.origin = self._origin.enter_context(serve(app, listen))

    def close(self) -> None:
        self._origin.close()

    def start_noc(self) -> None:
        self.folder.mkdir(exist_ok=True)
        root = (self.fleet.settings.keys / "root.json").read_bytes()
        self.noc = NocSite(Config("x", self.origin, root, self.folder, "127.0.0.1:0", site="roof"))
        self.url = self.stack.enter_context(serve(self.noc.app(), "127.0.0.1:0"))

    def releases(self) -> list[str]:
        found = self.fleet.store.notes.get(BootSets, "b")
        assert found
        return [each.release for each in found.sets]

    def start(self) -> str:
        """What the machine is handed, that comes to nothing: after a while its watchdog starts it again."""
        image = firmware.by_uefi(self.url, "b").decode()
        self.ahead += A_START
        return image.removeprefix("image of ")

    def says(self, release: str, boot_id: str, **more: object) -> bytes:
        """A report of the box, as it signs it."""
        self.counter += 1
        words = {"box": "b", "release": release, "health": "Healthy", "phase": "idle", "boot_id": boot_id, "entry": ""}
        words |= {"time": int(time.time()), "counter": self.counter, "failures": [], "resets": []} | more
        text = canonical(good("report", "first-boot", **words))
        key = KEY.public_key().public_bytes_raw().hex()
        return canonical(good("envelope", "idle", report=text.decode(), signature=KEY.sign(text).hex(), key=key))

    def send(self, body: bytes) -> int:
        return requests.post(f"{self.url}/api/v1/boxes/b/report", body, timeout=20).status_code


@pytest.fixture
def place(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Field]:
    def made(follower: Netboot, publication: Publication, made_of: str, install: str) -> BootSet:
        release, blobs = publication.release, follower._store.blobs
        image = blobs.put(f"image of {release.digest}".encode())
        small = replace(boot_set(follower._store, "0" * 64), image=image)
        return replace(small, release=release.digest, sequence=release.sequence, made_of=made_of)

    monkeypatch.setattr(Netboot, "_make", made)
    with ExitStack() as stack:
        found, real = Field(site, tmp_path / "noc", stack), time.time
        monkeypatch.setattr("gitops.server.boxes.netboot.time.time", lambda: real() + found.ahead)
        site.store.boxes.enroll("b", KEY.public_key().public_bytes_raw().hex())
        site.commit({"boxes/b.yaml": f"role: vm\nsite: roof\nnetboot: {{mac: '{MAC}'}}\n"})
        site.run()
        for box in ("a", "b", "c"):
            site.report(box)
        site.commit(HELLO)
        site.run()
        site.report("a")
        for _ in range(2):  # the second one signs what the first one made
            site.run()
        assert len(found.releases()) == 2
        found.open()
        found.start_noc()
        yield found
        found.close()


def test_without_the_origin_a_site_starts_its_machines_falls_back_and_tells_it_when_it_is_back(place: Field) -> None:
    noc, (new, old) = place.noc, place.releases()
    assert noc.once().boxes == {"b": ""}
    assert place.send(place.says(old, "boot of before")) == 204
    place.close()
    noc.once()
    assert [place.start() for _ in range(3)] == [new] * 3
    place.start_noc()  # its machine was restarted, and nobody is there
    noc = place.noc
    assert place.start() == old
    kernel, initrd = firmware.by_bios(place.url, MAC, UUID)
    assert kernel.startswith(b"kernel") and initrd.startswith(b"initrd")
    for release in (new, old):  # what its initrd fetches then
        assert requests.get(f"{place.url}/targets/b/{release}.release.json", timeout=20).status_code == 200
        roots = [each.root for each in place.fleet.store.release(release).layers()]
        assert {requests.head(f"{place.url}/layers/{each}.zst", timeout=20).status_code for each in roots} == {200}
    words = "was started three times by the network, and no Healthy report came"
    assert words in noc.once().fallen["b"]
    assert place.send(place.says(old, "it fell back")) == 202
    assert place.start() == old, "one that is Healthy with what it fell back to says nothing of the other"
    place.open(nocs=(f"x={noc.contact.public}",))
    assert noc.once().since == 0
    assert [words in each.message for each in place.fleet.store.events.latest("b") if each.reason == "FellBack"] == [
        True
    ]
    place.fleet.run()
    assert words in place.fleet.told_to_wait()["b"], "it stays with what it runs, and does not start again and again"
    noc.once()
    assert place.start() == old


def test_a_report_that_was_written_down_off_the_wire_ends_no_count(place: Field) -> None:
    place.noc.once()
    new, old = place.releases()
    recorded = [place.says(old, "boot of before"), place.says(new, "it came up")]
    assert [place.send(each) for each in recorded] == [204, 204]
    place.close()
    for _ in range(3):
        assert place.start() == new
        assert place.send(recorded[1]) == 202, "kept for the origin, which knows it already"
    assert place.start() == old
    assert place.send(place.says(new, "at last")) == 202
    place.ahead += A_START
    assert place.start() == new, "a newer one of that release does"


def test_what_starts_a_machine_is_what_is_signed_or_what_was_here_before(place: Field) -> None:
    place.noc.once()
    new, _ = place.releases()
    place.fleet.report("b")
    place.fleet.commit({"pkg/hello/file": "hello 3\n"})
    for box in ("a", "c"):
        place.fleet.run()
        place.fleet.report(box)
    place.fleet.run()
    newest = place.releases()[0]
    found = place.fleet.store.notes.get(BootSets, "b")
    assert found and newest != new
    image = place.fleet.store.blobs.path(found.sets[0].image.sha256)
    whole = image.read_bytes()
    image.write_bytes(whole[:-1] + b"!")
    assert "another digest than what is signed" in place.noc.once().boxes["b"]
    assert place.start() == new
    image.write_bytes(whole)
    assert place.noc.once().boxes["b"] == ""
    assert place.start() == newest
    here = place.noc.copy.blobs.path(found.sets[0].image.sha256)
    here.write_bytes(b"damaged here")
    place.start()  # nobody tells: so it is looked at again after each start
    place.noc.once()
    assert here.read_bytes() == whole
