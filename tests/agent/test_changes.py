"""Release documents and addons come as what changed of the last ones, if that can be had and is right."""

import os
from hashlib import sha256
from pathlib import Path

import pytest

from gitops.publish.deltas.small import between
from tests.simulators.box import Box, Made, State, drive, make
from tests.simulators.update_server import UpdateServer

OLD = make(7)


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    """Runs release 7, and is offered 8."""
    (tmp_path / "box").mkdir()
    made = Box(tmp_path / "box", server.url, server.root)
    made.install(OLD)
    return made


@pytest.fixture
def new(server: UpdateServer) -> Made:
    made = make(8, service=b"two")
    for root, data in made.blobs.items():
        server.add_layer(data, root)
    server.publish(made.document, made.uki, made.addon)
    return made


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def names(made: Made) -> tuple[str, str]:
    """Where document and addon of a release are, after 7."""
    return tuple(  # type: ignore[return-value]
        f"/deltas/{digest(old)}/{digest(data)}.zlib"
        for old, data in ((OLD.document, made.document), (OLD.addon, made.addon))
    )


def whole(server: UpdateServer) -> list[str]:
    """Documents and addons that were fetched whole."""
    return [path.rpartition(".")[2] for path in server.paths() if path.endswith((".release.json", ".addon.efi"))]


def update(box: Box) -> None:
    agent = box.power_on()
    assert agent
    drive(agent, State.REBOOTING)
    assert box.bootable() == [7, 8]


def test_what_changed_is_all_that_travels(box: Box, new: Made, server: UpdateServer) -> None:
    for path, old, data in zip(names(new), (OLD.document, OLD.addon), (new.document, new.addon), strict=True):
        server.files[path] = between(old, data)
    update(box)
    assert {*names(new)} <= {*server.paths()} and whole(server) == []


def test_a_server_of_before_that_knows_no_such_thing_is_asked_for_the_whole(
    box: Box, new: Made, server: UpdateServer
) -> None:
    update(box)
    assert whole(server) == ["json", "efi"]


@pytest.mark.parametrize(
    "wrong", [b"", b"no zlib", between(b"", b"x"), between(OLD.document, OLD.document), bytes(100_000)]
)
def test_what_is_wrong_with_it_costs_the_whole_file_and_nothing_else(
    box: Box, new: Made, server: UpdateServer, wrong: bytes
) -> None:
    server.files |= dict.fromkeys(names(new), wrong)
    update(box)
    assert whole(server) == ["json", "efi"]


def test_a_release_that_cannot_be_read_here_any_more_is_no_trouble(box: Box, new: Made, server: UpdateServer) -> None:
    agent = box.power_on()
    assert agent
    agent.disk.document(OLD.digest).unlink()
    agent.esp.addon(7).write_bytes(b"")
    drive(agent, State.REBOOTING)
    assert box.bootable() == [8] and whole(server) == ["json", "efi"]


def test_what_was_put_together_is_on_the_disk_before_it_counts_as_here(
    box: Box, new: Made, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be all that a box has when its turn comes, after a power cut and without a line."""
    for path, old, data in zip(names(new), (OLD.document, OLD.addon), (new.document, new.addon), strict=True):
        server.files[path] = between(old, data)
    synced, real = set[str](), os.fsync

    def fsync(handle: int) -> None:
        real(handle)
        synced.add(Path(f"/proc/self/fd/{handle}").readlink().name)

    monkeypatch.setattr(os, "fsync", fsync)
    update(box)
    assert {f"{digest(data)}.part" for data in (new.document, new.addon)} <= synced
