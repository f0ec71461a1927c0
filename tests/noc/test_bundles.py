"""Bundles: made on a stick, cut anywhere, and given to a NOC that has no line."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gitops.cli.main import application
from gitops.errors import StoreError, TowerosError
from gitops.noc import bundles
from gitops.noc.copy import Copy
from gitops.noc.mirror import Mirror
from gitops.noc.origin import Folder, Origin
from gitops.noc.trust import TrustError
from tests.kit.nocs import Noc, box_at, content, noc, offer, release
from tests.kit.published import kit
from tests.simulators.power import cut_at
from tests.simulators.update_server import UpdateServer

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def server() -> Iterator[UpdateServer]:
    with UpdateServer("demo-1") as running:
        offer(running, release(8))
        yield running


@pytest.fixture
def far(server: UpdateServer, tmp_path: Path) -> Iterator[Noc]:
    """A NOC that never reaches its origin; sticks appear in `media`."""
    (tmp_path / "media").mkdir()
    with noc(tmp_path / "noc", server, origin=NOWHERE, bundles=tmp_path / "media") as running:
        yield running


def carry(server: UpdateServer, folder: Path) -> Path:
    bundles.make(Origin(server.url), server.root, ["demo-1"], folder)
    return folder


def test_a_noc_without_a_line_takes_what_is_plugged_in_and_serves_it(
    server: UpdateServer, far: Noc, tmp_path: Path
) -> None:
    assert far.get("/metadata/timestamp.json").status_code == 404
    far.once()
    carry(server, tmp_path / "media" / "stick")
    state = far.once()
    assert "took demo-1" in state.bundle and state.since and state.expires
    box = box_at(far.url, tmp_path / "box", server.root)
    agent = box.power_on()
    assert agent
    for _ in range(3):
        agent.step()
    assert agent.boot.sequence == 7 and "waits until the server is back" in agent.error
    assert far.get(f"/layers/{[*release(8).blobs][2]}").content == release(8).blobs[[*release(8).blobs][2]]
    again = far.once()
    assert again.bundle == state.bundle


@pytest.mark.parametrize("what", ["older", "foreign", "damaged", "incomplete", "none", "nonsense", "pipe"])
def test_a_bad_bundle_changes_nothing_and_is_said(what: str, server: UpdateServer, far: Noc, tmp_path: Path) -> None:
    stick = tmp_path / "media" / "stick"
    if what == "older":
        old = carry(server, tmp_path / "old")
        offer(server, release(9, b"three"))
        far.site.take_in(carry(server, tmp_path / "new"))
        shutil.copytree(old, stick)
    elif what == "foreign":
        with UpdateServer("demo-1") as stranger:
            offer(stranger, release(8))
            carry(stranger, stick)
    else:
        carry(server, stick)
    layer = stick / "layers" / f"{[*release(8).blobs][2]}.zst"
    if what == "damaged":
        layer.write_bytes(b"x" + layer.read_bytes())
    elif what == "incomplete":
        layer.unlink()
    elif what == "nonsense":
        (stick / bundles.NAME).write_text("[" * 9999)
    elif what == "pipe":  # whoever carries it here waits for nobody
        (stick / bundles.NAME).unlink()
        os.mkfifo(stick / bundles.NAME)
    elif what == "none":
        (stick / bundles.NAME).unlink()
        with pytest.raises(StoreError, match="is no bundle"):
            far.site.take_in(stick)
    served = far.get("/metadata/timestamp.json").content
    state = far.once()
    words = {"older": "BadVersionNumberError", "foreign": "refused", "damaged": "is damaged", "incomplete": "not there"}
    assert words.get(what, "refused" if what not in ("none", "pipe") else "") in state.bundle
    if what == "older":
        assert far.get("/metadata/timestamp.json").content == served
    with pytest.raises(TowerosError):
        far.site.take_in(stick)


def test_making_one_that_is_cut_anywhere_leaves_none_or_a_whole_one_and_goes_on(
    server: UpdateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power fails as the stick, a FAT one, is changed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # what a cut leaves there goes with the test
    stick, point = tmp_path / "stick", 0
    stick.mkdir()
    while cut_at(point, (stick,), lambda: carry(server, stick) and None, vfat=stick):
        point += 9
        assert not (stick / bundles.NAME).exists() or whole(server, stick)
    assert point and whole(server, stick)
    server.requests.clear()
    carry(server, stick)
    assert content(server) == []


def whole(server: UpdateServer, stick: Path) -> bool:
    """A NOC takes all of it."""
    copy = Copy(stick.with_name(f"taken-{len(list(stick.parent.iterdir()))}"), 1 << 40)
    assert Mirror(copy, Folder(stick), server.root).run(["demo-1"]).lacking == {}
    return True


def test_a_stick_that_is_full_is_said_and_another_one_s_content_goes(server: UpdateServer, tmp_path: Path) -> None:
    place = tmp_path / "tiny"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", place], check=True)
    try:
        with pytest.raises(StoreError, match="has no room"):
            carry(server, place)
        assert not (place / bundles.NAME).exists()
    finally:
        subprocess.run(["umount", "-l", place], check=True)
    stick = carry(server, tmp_path / "stick")
    old = stick / "layers" / f"{[*release(8).blobs][2]}.zst"
    offer(server, release(9, b"three"))
    carry(server, stick)
    assert not old.exists() and json.loads((stick / bundles.NAME).read_bytes())["boxes"] == ["demo-1"]


def test_the_verb_makes_one_of_a_state_folder_and_says_until_when_it_holds(tmp_path: Path) -> None:
    here = kit(tmp_path / "origin")
    here.publisher.publish([here.publication("demo-1", 8)])
    root, state = here.store.paths.metadata / "1.root.json", here.store.paths.root
    words = ["bundle", "make", "demo-1", "--to", str(tmp_path / "stick"), "--root", str(root), "--state", str(state)]
    done = CliRunner().invoke(application(), words)
    assert done.exit_code == 0 and "demo-1; " in done.stderr and "boxes take it until" in done.stderr
    assert bundles.Bundle.open(tmp_path / "stick").boxes == ("demo-1",)
    done = CliRunner().invoke(application(), [*words[:2], "demo-9", *words[3:]])
    assert isinstance(done.exception, StoreError) and "nothing is signed for demo-9" in done.exception.message


def test_a_controller_that_published_nothing_yet_is_said_with_what_to_do(tmp_path: Path) -> None:
    words = ["bundle", "make", "demo-1", "--to", str(tmp_path / "stick"), "--state", str(tmp_path / "state")]
    done = CliRunner().invoke(application(), words)
    assert isinstance(done.exception, StoreError) and "nothing is published" in done.exception.message
    assert "toweros apply" in done.exception.hint and not (tmp_path / "stick").exists()


def test_who_signs_is_asked_of_the_root_that_is_named(server: UpdateServer, tmp_path: Path) -> None:
    with UpdateServer("demo-1") as stranger, pytest.raises(TrustError):
        bundles.make(Origin(server.url), stranger.root, ["demo-1"], tmp_path / "stick")


def test_a_folder_of_a_controller_or_a_site_becomes_no_bundle(server: UpdateServer, tmp_path: Path) -> None:
    """What no box of the bundle needs would go, and what a NOC believed last."""
    here = kit(tmp_path / "controller").store.paths.root
    with noc(tmp_path / "noc", server, boxes=("demo-1",)) as site:
        site.once()
    for folder in (here, tmp_path / "noc"):
        before = sorted(folder.rglob("*"))
        with pytest.raises(StoreError, match="is the folder of a controller or a NOC"):
            carry(server, folder)
        assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", ["layers/vacation.psd", "incoming/mail", "tuf/notes.txt", "repo/metadata/a", "blobs"])
def test_a_folder_that_is_somebody_s_own_is_refused_and_nothing_in_it_is_touched(
    name: str, server: UpdateServer, tmp_path: Path
) -> None:
    """`layers`, `incoming`, `repo`: other programs call their folders so too."""
    own = tmp_path / "stick" / name
    own.parent.mkdir(parents=True)
    own.write_bytes(b"of years")
    before = sorted((tmp_path / "stick").rglob("*"))
    with pytest.raises(StoreError, match="is neither empty nor a bundle") as caught:
        carry(server, tmp_path / "stick")
    assert f"no bundle made {name}," in caught.value.hint
    assert own.read_bytes() == b"of years" and sorted((tmp_path / "stick").rglob("*")) == before
    mine = carry(server, tmp_path / "stick" / "toweros")
    (mine / "layers" / "vacation.psd").write_bytes(b"of years")
    with pytest.raises(StoreError, match="is neither empty nor a bundle"):
        carry(server, mine)


def test_of_a_machine_that_the_network_starts_it_is_said_that_a_bundle_starts_none(
    server: UpdateServer, tmp_path: Path
) -> None:
    (tmp_path / "root.json").write_bytes(server.root)
    words = ["bundle", "make", "demo-1", "--to", str(tmp_path / "stick"), "--origin", server.url]
    words += ["--root", str(tmp_path / "root.json")]
    said = []
    for custom in ({}, {"netboot": "a" * 64}):
        offer(server, release(8), custom=custom)
        done = CliRunner().invoke(application(), words)
        assert done.exit_code == 0, done
        said.append("demo-1: started by the network, and a bundle brings nothing that does that" in done.stderr)
    assert said == [False, True]
