"""Origins that lie, are slow, or stop half-way; disks that are full or damaged: what is served stays what is signed."""

import dataclasses
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.errors import StoreError
from gitops.noc import copy, origin
from gitops.noc.site import Site
from tests.kit.authority import Authority
from tests.kit.nocs import Noc, box_at, noc, offer, release, settle
from tests.kit.tls import tls_before
from tests.simulators.box import Made
from tests.simulators.rude import Rude, silent
from tests.simulators.update_server import UpdateServer, endless, flipped, truncated

BOX = ("demo-1",)


def new_layer(made: Made) -> str:
    return [*made.blobs][2]


@pytest.mark.parametrize(
    ("fault", "why"),
    [(flipped, "it has another verity root"), (endless, "more than the"), (truncated, "ProtocolError")],
    ids=["flipped", "endless", "cut"],
)
def test_a_layer_that_is_not_what_is_signed_is_never_served_and_is_brought_when_it_is(
    fault: object, why: str, server: UpdateServer, here: Noc, tmp_path: Path
) -> None:
    made = offer(server, release(8))
    root = new_layer(made)
    for name in (f"/layers/{root}", f"/layers/{root}.zst"):
        server.faults[name] = fault  # type: ignore[assignment]
    state = here.once()
    assert why in state.boxes["demo-1"] and state.words(0) == "lacks content of demo-1"
    assert [here.get(f"/layers/{root}{end}").status_code for end in ("", ".zst")] == [404, 404]
    assert settle(box_at(here.url, tmp_path / "box", server.root)).boot.sequence == 7
    server.faults.clear()
    assert here.once().words(0) == "up to date"
    assert here.get(f"/layers/{root}").content == made.blobs[root]


def test_what_was_half_brought_is_gone_on_with(server: UpdateServer, here: Noc) -> None:
    offer(server, release(7, b"one"), days=5)
    here.once()
    root = new_layer(offer(server, release(8), days=5))
    server.faults[f"/layers/{root}.zst"] = truncated
    here.once()
    assert here.site.copy.metadata.read("timestamp.json") != server.files["/metadata/timestamp.json"]
    server.faults.clear()
    here.once()
    assert [row[2] for row in server.requests if row[:2] == ("GET", f"/layers/{root}.zst")] == [200, 206]
    assert here.get("/metadata/timestamp.json").content == server.files["/metadata/timestamp.json"]


def test_a_packed_layer_that_unpacks_to_more_than_the_layer_is_dropped_for_the_raw_one(
    server: UpdateServer, here: Noc
) -> None:
    made = offer(server, release(8))
    root = new_layer(made)
    bomb = subprocess.run(["zstd", "-qc"], input=bytes(1 << 24), capture_output=True, check=True).stdout
    server.files[f"/layers/{root}.zst"] = bomb
    assert here.once().words(0) == "up to date"
    assert here.get(f"/layers/{root}").content == made.blobs[root]
    assert here.get(f"/layers/{root}.zst").status_code == 404


def test_older_metadata_are_refused_and_what_was_served_stays(server: UpdateServer, here: Noc) -> None:
    old = server.files["/metadata/timestamp.json"]
    offer(server, release(8))
    here.once()
    served = here.get("/metadata/timestamp.json").content
    server.files["/metadata/timestamp.json"] = old
    assert "BadVersionNumberError" in here.once().error
    assert here.get("/metadata/timestamp.json").content == served


def test_metadata_of_another_root_are_refused(server: UpdateServer, tmp_path: Path) -> None:
    with UpdateServer("demo-1") as stranger:
        config = {"boxes": BOX, "root": stranger.root}
        with noc(tmp_path / "noc", server, **config) as here:
            assert "refused" in here.once().error
            assert here.get("/metadata/timestamp.json").status_code == 404 and here.says()["boxes"] == {}


def test_metadata_that_have_expired_are_refused_and_said(server: UpdateServer, here: Noc) -> None:
    offer(server, release(8), days=-1)
    state = here.once()
    assert "ExpiredMetadataError" in state.error
    assert "boxes take nothing from here" in state.words(state.expires + 1)
    assert here.get("/readyz").status_code == 200


def test_an_origin_of_a_private_authority_is_believed_when_the_machine_does(
    server: UpdateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority()
    (tmp_path / "ca.crt").write_text(authority.pem)
    with tls_before(server.url, authority, tmp_path) as url:
        with noc(tmp_path / "noc", server, boxes=BOX, origin=url) as here:
            assert "its certificate is not proven" in here.once().error
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.crt"))
            assert here.once().words(0) == "up to date"


def test_a_silent_origin_holds_no_box_and_no_pass(
    server: UpdateServer, here: Noc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin, "SILENCE", 0.2)
    with Rude(silent) as rude:
        here.site.origin.url = rude.url
        assert "metadata/" in here.once().error
    assert here.get(f"/layers/{new_layer(release(7, b'one'))}").status_code == 200


def test_a_folder_that_is_too_small_keeps_what_is_offered_and_says_what_does_not_fit(
    server: UpdateServer, tmp_path: Path
) -> None:
    first, second = release(7, b"one"), release(8)
    size = 2 * sum(map(len, first.blobs.values()))
    with noc(tmp_path / "noc", server, boxes=BOX, most=2 * size) as here:
        here.once()
        gone = here.site.copy.layers.path(new_layer(first))
        here.site.copy.most = size + 3 * max(map(len, second.blobs.values()))
        offer(server, second)
        assert here.once().words(0) == "up to date"
        here.site.copy.most = 1000
        third = offer(server, release(9, b"three"))
        assert "has no room" in here.once().boxes["demo-1"] and not gone.exists()
        assert here.get(f"/layers/{new_layer(third)}").status_code == 404


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A disk that is soon full."""
    place = tmp_path / "tiny"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_disk_that_is_full_leaves_what_was_served_and_is_said(
    server: UpdateServer, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "RESERVE", -(1 << 40))  # somebody else fills it, after we looked
    with noc(tiny / "noc", server, boxes=BOX) as here:
        assert here.once().words(0) == "up to date"
        served = here.get("/metadata/timestamp.json").content
        (tiny / "other").write_bytes(bytes(tiny_room(tiny)))
        offer(server, release(8))
        state = here.once()
        assert "No space left" in state.error + state.boxes["demo-1"]
        assert here.get("/metadata/timestamp.json").content == served
        (tiny / "other").unlink()
        assert here.once().words(0) == "up to date"


def tiny_room(place: Path) -> int:
    found = subprocess.run(["df", "--output=avail", "-B1", place], capture_output=True, text=True, check=True)
    return int(found.stdout.split()[-1]) - 8192


def test_content_that_was_damaged_on_the_disk_is_mended_by_the_box_that_finds_it(
    server: UpdateServer, here: Noc, tmp_path: Path
) -> None:
    made = offer(server, release(8))
    here.once()
    layers = here.site.copy.layers
    deltas = here.site.copy.paths.layers.glob(f"deltas/*/{new_layer(made)}*")
    for path in (layers.zst(new_layer(made)), layers.path(new_layer(made)), *deltas):
        path.write_bytes(flip(path.read_bytes()))
    box = box_at(here.url, tmp_path / "box", server.root)
    assert settle(box).boot.sequence == 7
    here.once()
    agent = settle(box)
    assert agent.boot.sequence == 8


def test_a_release_document_that_was_damaged_on_the_disk_is_brought_again(server: UpdateServer, here: Noc) -> None:
    made = offer(server, release(8))
    here.once()
    path = here.site.copy.blobs.path(made.digest)
    path.write_bytes(b"")
    assert here.once().words(0) == "up to date" and path.read_bytes() == made.document


def flip(data: bytes) -> bytes:
    return data[:-2] + bytes([data[-2] ^ 1]) + data[-1:]


def test_two_nocs_do_not_share_a_folder(here: Noc) -> None:
    config = dataclasses.replace(here.site.config)
    with pytest.raises(StoreError, match="another NOC uses"), Site(config).serving():
        pass


def test_a_noc_behind_a_noc_serves_the_same(server: UpdateServer, here: Noc, tmp_path: Path) -> None:
    with noc(tmp_path / "far", server, origin=here.url) as far:
        box = box_at(far.url, tmp_path / "box", server.root)
        far.site.heard("demo-1")
        assert far.once().words(0) == "up to date"
        settle(box)
        offer(server, release(8))
        here.once()
        far.once()
        assert settle(box).boot.sequence == 8
