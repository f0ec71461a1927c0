"""Bundles in all their shapes, on the controller and at a site: ISO and stick; shown, taken, and reports come back."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner, Result

from gitops.cli.main import application
from gitops.errors import StoreError
from gitops.model import canonical, sha256
from gitops.noc import bundles
from gitops.noc.carried import iso
from gitops.noc.carried.places import opened
from gitops.noc.carried.returned import SILENT, Returned, returned
from gitops.noc.carried.room import MAX_REPORT
from gitops.noc.carried.showing import show
from gitops.noc.media.medium import Medium
from gitops.noc.origin import Origin
from gitops.noc.trust import TrustError
from tests.kit import built
from tests.kit.contracts import CONTRACTS
from tests.kit.nocs import Noc, noc, offer, release
from tests.kit.published import Kit, kit
from tests.kit.sticks import stick
from tests.simulators.update_server import UpdateServer

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def server() -> Iterator[UpdateServer]:
    with UpdateServer("demo-1") as running:
        offer(running, release(8))
        yield running


@pytest.fixture
def folder(server: UpdateServer, tmp_path: Path) -> Path:
    bundles.make(Origin(server.url), server.root, ["demo-1"], tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def far(server: UpdateServer, tmp_path: Path) -> Iterator[Noc]:
    (tmp_path / "media").mkdir()
    with noc(tmp_path / "noc", server, origin=NOWHERE, bundles=tmp_path / "media") as running:
        yield running


def test_as_an_iso_it_is_the_same_twice_and_a_site_takes_it(
    server: UpdateServer, folder: Path, far: Noc, tmp_path: Path
) -> None:
    digests = []
    for number in range(2):
        (folder / bundles.NAME).write_bytes(bundles.Bundle(("demo-1",), 1000 + number, 1 << 33).encode())
        iso.write(built.media_tools(), folder, tmp_path / "demo.iso")
        digests.append(sha256((tmp_path / "demo.iso").read_bytes()))
    assert digests[0] == digests[1] and not list(tmp_path.glob(".*"))
    with opened(tmp_path / "demo.iso") as bundle:
        assert (bundle.kind, bundle.words.boxes) == ("iso9660", ("demo-1",))
    assert show(tmp_path / "demo.iso", server.root).boxes == {"demo-1": 8}
    shutil.copy(tmp_path / "demo.iso", tmp_path / "media" / "demo.iso")
    assert "took demo-1" in far.once().bundle
    assert far.get("/metadata/timestamp.json").status_code == 200


def test_a_site_takes_a_stick_that_nobody_mounted(folder: Path, far: Noc, tmp_path: Path) -> None:
    assert far.site.take_in(stick(folder, tmp_path / "stick.img", "mbr", 16)) == ["demo-1"]


@pytest.mark.parametrize("what", ["nonsense", "empty", "cut"])
def test_an_image_that_is_none_is_refused_by_a_site_and_said(what: str, folder: Path, far: Noc, tmp_path: Path) -> None:
    image = stick(folder, tmp_path / "media" / "stick.img", "vfat", 16)
    if what == "nonsense":
        image.write_bytes(b"\xff" * 99999)
    elif what == "empty":
        image.write_bytes(b"")
    else:
        (folder / bundles.NAME).unlink()
        stick(folder, image, "vfat", 16)
    assert "refused: " in far.once().bundle and "is no bundle" in far.once().bundle


def shown(*words: object, root: Path) -> Result:
    return CliRunner().invoke(application(), ["bundle", "show", *map(str, words), "--root", str(root)])


def test_what_is_in_it_is_shown_proven(server: UpdateServer, folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "root.json"
    root.write_bytes(server.root)
    for place in (folder, stick(folder, tmp_path / "stick.img", "ext4", 16)):
        done = shown(place, "-o", "json", root=root)
        assert done.exit_code == 0 and json.loads(done.stdout) == [{"box": "demo-1", "release": 8, "wrong": ""}]
        assert "boxes take it until" in done.stderr
    layer = folder / "layers" / f"{[*release(8).blobs][2]}.zst"
    layer.write_bytes(b"x" + layer.read_bytes())
    done = shown(folder, root=root)
    assert isinstance(done.exception, StoreError) and "is not whole" in done.exception.message
    assert "is damaged" in done.stdout
    with UpdateServer("demo-1") as stranger:
        root.write_bytes(stranger.root)
        assert isinstance(shown(folder, root=root).exception, TrustError)


# --- reports that come back ---


@pytest.fixture
def here(tmp_path: Path) -> Kit:
    """A controller that knows the box."""
    made = kit(tmp_path / "controller")
    made.store.boxes.enroll("demo-1", KEY.public_key().public_bytes_raw().hex())
    return made


KEY = Ed25519PrivateKey.generate()


def envelope(key: Ed25519PrivateKey = KEY, **members: Any) -> bytes:
    report = json.loads((CONTRACTS / "report" / "good" / "idle.json").read_bytes()) | {"box": "demo-1"} | members
    text = canonical(report)
    public = key.public_key().public_bytes_raw().hex()
    return canonical({"report": text.decode(), "signature": key.sign(text).hex(), "key": public})


@pytest.fixture
def come_back(folder: Path, here: Kit, tmp_path: Path) -> Callable[[bytes], Returned]:
    """What the controller makes of a stick on which a box wrote this."""
    image = stick(folder, tmp_path / "stick.img", "vfat", 16)

    def back(data: bytes) -> Returned:
        if data:
            with Medium.open(image, write=True) as medium:
                medium.write("reports/demo-1.json", data)
        (found,) = returned(image, here.store)
        return found

    return back


def test_a_report_comes_back_on_the_stick_and_counts_once(come_back: Callable[[bytes], Returned], here: Kit) -> None:
    assert come_back(b"") == Returned("demo-1", False, SILENT)
    words = "the stick sdb: done: release 8 runs: pull it out"
    assert come_back(envelope(bundle=words)) == Returned("demo-1", True, words)
    report = here.store.boxes.report("demo-1")
    assert report and report.bundle == words
    once_more = come_back(b"")
    assert not once_more.taken and "seen already" in once_more.words


def test_an_older_report_of_another_boot_does_not_take_the_newer_one_s_place(
    come_back: Callable[[bytes], Returned], here: Kit
) -> None:
    assert come_back(envelope(boot_id="b" * 8, time=1_790_000_500)).taken
    old = come_back(envelope(boot_id="a" * 8, time=1_790_000_400))
    assert not old.taken and "older than the last one" in old.words
    report = here.store.boxes.report("demo-1")
    assert report and report.boot_id == "b" * 8


def test_what_is_no_report_of_this_box_is_left_with_the_reason(come_back: Callable[[bytes], Returned]) -> None:
    stranger = Ed25519PrivateKey.generate()
    for data, why in (
        (envelope(stranger), "the signature is not that of an enrolled box"),
        (envelope(box="demo-2"), "another box's"),
        (envelope()[:-40], "it is damaged"),
        (b"[" * 9999, "it is damaged"),
        (envelope(sequence="eight"), "sequence"),
        (json.dumps({"report": '{"time": 1e999, "boot_id": "a"}'}).encode(), "it is damaged"),
    ):
        found = come_back(data)
        assert not found.taken and why in found.words, found


def test_the_verb_takes_them(come_back: Callable[[bytes], Returned], here: Kit, tmp_path: Path) -> None:
    with Medium.open(tmp_path / "stick.img", write=True) as medium:
        medium.write("reports/demo-1.json", envelope())
    words = ["bundle", "reports", str(tmp_path / "stick.img"), "--state", str(here.store.paths.root), "-o", "json"]
    done = CliRunner().invoke(application(), words)
    assert done.exit_code == 0 and json.loads(done.stdout) == [{"box": "demo-1", "taken": True, "words": ""}]


def test_words_of_a_box_are_no_markup_of_a_terminal(
    come_back: Callable[[bytes], Returned], here: Kit, tmp_path: Path
) -> None:
    with Medium.open(tmp_path / "stick.img", write=True) as medium:
        medium.write("reports/demo-1.json", envelope(bundle="[/usr/bin/x] \x1b[2J [red]done"))
    words = ["bundle", "reports", str(tmp_path / "stick.img"), "--state", str(here.store.paths.root)]
    done = CliRunner().invoke(application(), words)
    assert done.exit_code == 0 and "[/usr/bin/x] ?[2J [red]done" in done.stdout, done


def test_a_bundle_that_is_made_again_keeps_what_boxes_wrote_and_has_a_place_for_each(
    server: UpdateServer, folder: Path
) -> None:
    place = folder / "reports" / "demo-1.json"
    assert place.stat().st_size == MAX_REPORT
    written = envelope().ljust(MAX_REPORT)
    place.write_bytes(written)
    (folder / "reports" / "demo-9.json").write_bytes(b"of a box that is not in it any more")
    (folder / bundles.NAME).write_bytes(bundles.Bundle(("demo-1", "demo-9", "../blobs"), 1, 1).encode())
    bundles.make(Origin(server.url), server.root, ["demo-1"], folder)
    assert place.read_bytes() == written and [path.name for path in (folder / "reports").iterdir()] == [place.name]


def test_a_bundle_that_is_made_where_somebody_has_a_folder_of_reports_leaves_his_alone(
    server: UpdateServer, tmp_path: Path
) -> None:
    own = tmp_path / "stick" / "reports"
    (own / "2025").mkdir(parents=True)
    (own / "taxes.pdf").write_bytes(b"of years")
    bundles.make(Origin(server.url), server.root, ["demo-1"], own.parent)
    assert {path.name for path in own.iterdir()} == {"2025", "taxes.pdf", "demo-1.json"}


def test_links_on_a_stick_that_came_back_lead_to_no_file_of_the_controller(
    server: UpdateServer, folder: Path, tmp_path: Path
) -> None:
    key = tmp_path / "authorized_keys"
    key.write_bytes(b"ssh-ed25519 ...")
    place = folder / "reports" / "demo-1.json"
    place.unlink()
    place.symlink_to(key)
    bundles.make(Origin(server.url), server.root, ["demo-1"], folder)
    assert key.read_bytes() == b"ssh-ed25519 ..." and not place.is_symlink()
    shutil.rmtree(folder / "reports")
    (folder / "reports").symlink_to(tmp_path)
    with pytest.raises(StoreError, match="reports is a link"):
        bundles.make(Origin(server.url), server.root, ["demo-1"], folder)
