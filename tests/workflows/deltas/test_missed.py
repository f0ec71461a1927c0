"""A box that missed three releases takes one delta, made while nobody waited; what is wrong with that costs it no more
than the whole layer."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from toweros_agent import deadlines

from gitops.publish.deltas.making import Maker
from gitops.publish.transfers import pack_twice
from gitops.settings.deltas import Deltas
from gitops.workflows.deltas.worker import Worker
from tests.kit.missed import Missed
from tests.kit.published import kit
from tests.simulators.box import Box, State, drive
from tests.simulators.update_server import UpdateServer, flipped, garbage, truncated


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Missed:
    """The box runs the first of four releases and is offered the last; its deltas are made."""
    made = Missed(kit(tmp_path_factory.mktemp("missed") / "fleet"))
    made.publish(*made.releases)
    made.reports("demo-1", made.releases[0])
    store = made.kit.store
    Worker(store, Deltas(share=100), threading.Event(), Maker(store.layers, seconds=60, nice=0)).round()
    return made


@pytest.fixture
def server(here: Missed) -> Iterator[UpdateServer]:
    """With all files of the store."""
    with UpdateServer("demo-1") as running:
        for path in filter(Path.is_file, here.folder.rglob("*")):
            name = str(path.relative_to(here.folder))
            running.files[f"/{name}" if "/" in name else f"/layers/{name}"] = path.read_bytes()
        last = here.releases[-1]
        running.publish(last.document, last.uki, last.addon)
        yield running


@pytest.fixture
def box(tmp_path: Path, here: Missed, server: UpdateServer) -> Box:
    (tmp_path / "box").mkdir()
    made = Box(tmp_path / "box", server.url, server.root)
    made.install(here.releases[0])
    return made


@pytest.fixture
def delta(here: Missed) -> str:
    return f"/{here.delta(here.releases[0], here.releases[-1]).relative_to(here.folder)}"


@pytest.fixture
def whole(here: Missed) -> str:
    return f"/layers/{here.last(here.releases[-1]).root}.zst"


def fetched(box: Box, server: UpdateServer) -> list[str]:
    """Onto what is offered, by which files of layers."""
    agent = box.power_on()
    assert agent
    agent.http.silence = 0.3
    assert drive(agent, State.REBOOTING) == State.REBOOTING
    assert sorted(box.bootable()) == [7, 10]
    layers = (path for path in server.paths() if path.startswith(("/layers", "/deltas")))
    return [path for path in layers if not path.endswith(".zlib")]


def slow(data: bytes) -> Iterator[bytes]:
    time.sleep(0.6)
    yield data


def test_a_box_that_missed_three_releases_takes_one_delta(
    here: Missed, server: UpdateServer, box: Box, delta: str, whole: str
) -> None:
    assert fetched(box, server) == [delta]
    assert len(server.files[delta]) < len(server.files[whole]) / 20
    chain = [server.files[f"/{path.relative_to(here.folder)}"] for path in here.folder.glob("deltas/*/*.zst")]
    assert len(chain) == 1, "none from release to release is needed for it"


def test_a_damaged_cut_or_slow_delta_costs_the_whole_layer_and_no_more(
    here: Missed, tmp_path: Path, server: UpdateServer, delta: str, whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "SLICE", 0.1)
    for fault in (flipped, garbage, truncated, slow):
        folder = tmp_path / fault.__name__
        folder.mkdir()
        box = Box(folder, server.url, server.root)
        box.install(here.releases[0])
        server.faults[delta] = fault
        server.requests.clear()
        *tried, last = fetched(box, server)
        assert {*tried} == {delta} and last == whole, fault


def test_a_delta_that_goes_while_it_is_fetched_costs_the_whole_layer(
    server: UpdateServer, box: Box, delta: str, whole: str
) -> None:
    def gone(data: bytes) -> Iterator[bytes]:
        del server.files[delta], server.faults[delta]
        yield data[:100]

    server.faults[delta] = gone
    assert fetched(box, server) == [delta, delta, whole]


def test_what_is_packed_twice_is_fetched_so(server: UpdateServer, box: Box, delta: str, tmp_path: Path) -> None:
    """A frame that every zstd skips (RFC 8878, 3.1.2) stands for all that a delta of a large layer says in vain."""
    data = server.files[delta] + (0x184D2A50).to_bytes(4, "little") + (9000).to_bytes(4, "little") + bytes(9000)
    (tmp_path / "delta").write_bytes(data)
    assert pack_twice(tmp_path / "delta", tmp_path / "twice") < len(data) - 8000
    server.files[delta], server.files[f"{delta}.zst"] = data, (tmp_path / "twice").read_bytes()
    assert fetched(box, server) == [f"{delta}.zst"]


def test_a_damaged_one_that_is_packed_twice_costs_the_plain_delta(server: UpdateServer, box: Box, delta: str) -> None:
    server.files[f"{delta}.zst"] = b"damaged"
    assert fetched(box, server) == [f"{delta}.zst", delta]
