"""A box that is updated by what somebody carries to it: the same checks as online, and nothing is lost by a bad one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from toweros_agent.loop import Agent

from gitops.noc import bundles
from gitops.noc.origin import Origin
from tests.kit.contracts import CONTRACTS
from tests.kit.nocs import box_at, content, offer, release, settle
from tests.simulators.box import Box, Made, State, drive
from tests.simulators.update_server import UpdateServer


@pytest.fixture
def carry(server: UpdateServer, tmp_path: Path) -> Callable[..., Path]:
    """Make a bundle of what the server offers now."""

    def make(into: Path | None = None, origin: UpdateServer = server) -> Path:
        folder = into or tmp_path / "stick"
        bundles.make(Origin(origin.url), origin.root, ["demo-1"], folder)
        return folder

    return make


@pytest.fixture
def box(server: UpdateServer, tmp_path: Path) -> Box:
    """It has never reached its server."""
    return box_at("http://127.0.0.1:9", tmp_path / "box", server.root)


def plug_in(box: Box, folder: Path) -> Path:
    place = box.root / "state" / "bundle"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder, place)
    return place


def idle(box: Box) -> Agent:
    """Look once, and stay."""
    agent = box.power_on()
    assert agent
    for _ in range(3):
        drive(agent, State.IDLE)
    return agent


def new_layer(made: Made) -> str:
    return [*made.blobs][2]


def test_a_box_without_a_line_takes_a_bundle_proves_itself_by_it_and_takes_the_next_one(
    server: UpdateServer, box: Box, carry: Callable[..., Path]
) -> None:
    for sequence, service in ((8, b"two"), (9, b"three")):
        offer(server, release(sequence, service))
        plug_in(box, carry())
        agent = settle(box)
        assert (agent.boot.sequence, agent.trial, agent.state) == (sequence, False, State.IDLE)
        assert agent.tell().fetched["from"] == ["bundle"], "told when somebody is there"


def test_a_box_that_reached_its_server_before_is_asked_to_reach_it_again(
    server: UpdateServer, tmp_path: Path, carry: Callable[..., Path]
) -> None:
    offer(server, release(7, b"one"))
    box = box_at(server.url, tmp_path / "near", server.root)
    agent = idle(box)
    offer(server, release(8))
    plug_in(box, carry())
    server.leave()
    for _ in range(9):
        if drive(agent, State.IDLE, State.REBOOTING) == State.REBOOTING:
            break
    tried = box.power_on()
    assert tried and tried.trial and drive(tried, State.REBOOTING)
    assert [each.verdict for each in tried.history.memory.failures] == ["indeterminate"]
    assert box.power_on() and 7 in box.bootable()


@pytest.mark.parametrize(("later", "kept"), [(0, False), (2, False), (4, True)])
def test_a_box_that_was_started_in_an_outage_proves_nothing_by_a_bundle_before_the_server_was_away_for_days(
    later: int, kept: bool, server: UpdateServer, tmp_path: Path, carry: Callable[..., Path]
) -> None:
    """The site's power failed, the box is there before its line: what it blesses then may cut it off for good."""
    offer(server, release(7, b"one"), days=7)
    box = box_at(server.url, tmp_path / "near", server.root)
    idle(box)
    offer(server, release(8), days=7 + later)
    plug_in(box, carry())
    server.leave()
    for _ in range(3):
        agent = settle(box)
    assert agent.boot.sequence == (8 if kept else 7) and not agent.trial
    assert kept or [each.verdict for each in agent.history.memory.failures][:1] == ["indeterminate"]


def test_layers_come_from_the_bundle_while_the_server_is_there_too(
    server: UpdateServer, tmp_path: Path, carry: Callable[..., Path]
) -> None:
    offer(server, release(8))
    box = box_at(server.url, tmp_path / "near", server.root)
    plug_in(box, carry())
    server.requests.clear()
    assert settle(box).boot.sequence == 8 and content(server) == []


def test_a_damaged_bundle_holds_up_nothing_that_the_server_has(
    server: UpdateServer, tmp_path: Path, carry: Callable[..., Path]
) -> None:
    offer(server, release(8))
    box = box_at(server.url, tmp_path / "near", server.root)
    for path in (plug_in(box, carry()) / "blobs" / "sha256").iterdir():
        path.write_bytes(b"x" * path.stat().st_size)
    assert settle(box).boot.sequence == 8


def older(server: UpdateServer, box: Box, carry: Callable[..., Path], tmp_path: Path) -> None:
    offer(server, release(8))
    old = carry(tmp_path / "old")
    offer(server, release(9, b"three"))
    plug_in(box, carry())
    settle(box)
    plug_in(box, old)


def expired(server: UpdateServer, box: Box, carry: Callable[..., Path], tmp_path: Path) -> None:
    offer(server, release(8))
    place = plug_in(box, carry()) / "repo" / "metadata"
    offer(server, release(8), days=-1)
    for name, data in server.files.items():
        if name.startswith("/metadata/"):
            (place / Path(name).name).write_bytes(data)


def foreign(server: UpdateServer, box: Box, carry: Callable[..., Path], tmp_path: Path) -> None:
    with UpdateServer("demo-1") as stranger:
        offer(stranger, release(8))
        plug_in(box, carry(origin=stranger))


def another_box_s(server: UpdateServer, box: Box, carry: Callable[..., Path], tmp_path: Path) -> None:
    with UpdateServer("demo-2") as other:
        other.keys, other.root = server.keys, server.root
        offer(other, release(8))
        bundles.make(Origin(other.url), other.root, ["demo-2"], tmp_path / "other")
    plug_in(box, tmp_path / "other")


def damaged(server: UpdateServer, box: Box, carry: Callable[..., Path], tmp_path: Path) -> None:
    made = offer(server, release(8))
    place = plug_in(box, carry()) / "layers" / f"{new_layer(made)}.zst"
    place.write_bytes(b"x" + place.read_bytes())


def incomplete(server: UpdateServer, box: Box, carry: Callable[..., Path], tmp_path: Path) -> None:
    made = offer(server, release(8))
    (plug_in(box, carry()) / "layers" / f"{new_layer(made)}.zst").unlink()


def newer_format(server: UpdateServer, box: Box, carry: Callable[..., Path], tmp_path: Path) -> None:
    offer(server, release(8))
    shutil.copy(CONTRACTS / "bundle" / "ahead" / "format-2.json", plug_in(box, carry()) / bundles.NAME)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (older, "BadVersionNumberError"),
        (expired, "ExpiredMetadataError"),
        (foreign, "metadata: "),
        (another_box_s, "there is no demo-1/release.json"),
        (damaged, "cannot be fetched: full: "),
        (incomplete, "it is not in the bundle"),
        (newer_format, "format 2: this agent reads 1"),
    ],
    ids=["older", "expired", "foreign", "another-box-s", "damaged", "incomplete", "newer-format"],
)
def test_a_bad_bundle_is_refused_by_name_and_the_box_stays_as_it_is(
    bad: Callable[..., None], why: str, server: UpdateServer, box: Box, carry: Callable[..., Path], tmp_path: Path
) -> None:
    offer(server, release(7, b"one"))
    bad(server, box, carry, tmp_path)
    before = box.power_on()
    assert before
    runs = before.boot.sequence
    errors = []
    for _ in range(4):
        drive(before, State.IDLE)
        errors.append(before.error)
    assert before.boot.sequence == runs and before.state == State.IDLE
    assert any(why in each for each in errors), errors
    assert runs in box.bootable()


def test_a_bundle_that_was_cut_as_it_was_made_is_none_and_is_finished_by_making_it_again(
    server: UpdateServer, box: Box, carry: Callable[..., Path], tmp_path: Path
) -> None:
    made = offer(server, release(8))
    whole = carry()
    (whole / bundles.NAME).unlink()
    (whole / "layers" / f"{new_layer(made)}.zst").unlink()
    plug_in(box, whole)
    assert "ConnectionRefusedError" in idle(box).error and box.bootable() == [7]
    server.requests.clear()
    plug_in(box, carry())
    assert len(content(server)) == 1
    assert settle(box).boot.sequence == 8


def test_a_link_in_a_bundle_names_no_file_of_the_box(
    server: UpdateServer, box: Box, carry: Callable[..., Path]
) -> None:
    offer(server, release(8))
    stamp = plug_in(box, carry()) / "repo" / "metadata" / "timestamp.json"
    stamp.rename(box.root / "secret")
    stamp.symlink_to(box.root / "secret")
    agent = idle(box)
    assert "it is not in the bundle" in agent.error and agent.boot.sequence == 7
