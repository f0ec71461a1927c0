"""What makes deltas beside the loop: whoever lies, hangs, dies or comes second costs nobody anything."""

import json
import os
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from gitops.publish.deltas.choosing import BUSY
from gitops.publish.deltas.making import Maker
from gitops.server import create_app
from gitops.server.people import metrics
from gitops.settings import Settings
from gitops.settings.deltas import Deltas
from gitops.store import LeaseError, Store
from gitops.store.collect import collect
from gitops.store.files.deltas import Deltas as Files
from gitops.store.notes.deltas import DeltaWork, Spared
from gitops.store.tables import notes
from gitops.workflows.deltas.worker import Worker, deltas
from tests.kit.console import toweros
from tests.kit.missed import Missed
from tests.kit.published import kit
from tests.simulators.box import Made

ALL = Deltas(share=100)


@pytest.fixture
def here(tmp_path: Path) -> Missed:
    """Four releases of one box, the last of which is offered; nothing is reported yet."""
    made = Missed(kit(tmp_path / "fleet"), size=30_000, edits=3)
    made.publish(*made.releases)
    return made


def worker(here: Missed, bounds: Deltas = ALL, **limits: float) -> Worker:
    maker = Maker(here.kit.store.layers, **{"seconds": 60, "nice": 0, **limits})  # type: ignore[arg-type]
    return Worker(here.kit.store, bounds, threading.Event(), maker)


def work(here: Missed) -> DeltaWork:
    return here.kit.store.notes.get(DeltaWork) or DeltaWork()


def there(here: Missed) -> set[tuple[str, str]]:
    return {(each.old, each.new) for each in Files(here.folder).each()}


def get(here: Missed, path: str) -> bytes:
    answer = TestClient(create_app(here.kit.store, Settings(state=here.kit.store.paths.root))).get(path)
    assert answer.status_code == 200
    return answer.content


def pair(here: Missed, before: Made, after: Made) -> tuple[str, str]:
    return here.last(before).root, here.last(after).root


def test_each_box_gets_one_from_what_it_runs_and_nothing_is_made_twice(here: Missed) -> None:
    old, older, _, new = here.releases
    for number, runs in enumerate((old, old, older)):
        box = f"box-{number}"
        for made in (here.made(runs.sequence - 7, box), here.made(3, box)):
            here.publish(made)
        here.reports(box, here.made(runs.sequence - 7, box))
    worker(here).round()
    assert there(here) == {pair(here, old, new), pair(here, older, new)}
    done = work(here)
    assert (done.made, done.count, done.waiting, done.failed) == (2, 2, 0, 0) and done.size > 0
    assert done.tried.keys() == {"/".join(pair(here, old, new)), "/".join(pair(here, older, new))}
    worker(here).round()
    assert work(here).made == 2
    here.reports("box-2", here.made(3, "box-2"))
    worker(here).round()
    assert work(here) == done, "it has what it was offered: what is there stays, as long as there is room"


def test_a_box_that_says_that_it_runs_what_nobody_made_gets_nothing(here: Missed) -> None:
    """Neither its content nor its release is known; then the release of another, as if that had its content."""
    here.reports("demo-1", here.made(9))
    worker(here).round()
    assert not there(here) and work(here).failed == 0
    here.reports("demo-1", here.releases[1], content=here.releases[0].content)
    worker(here).round()
    assert not there(here) and not work(here).tried


def test_over_the_budget_the_least_useful_goes_and_none_that_a_box_is_fetching(here: Missed) -> None:
    old, _, _, new = here.releases
    here.reports("demo-1", old)
    here.kit.store.layers.delta("a" * 64, "b" * 64).parent.mkdir(parents=True)
    useless = here.kit.store.layers.delta("a" * 64, "b" * 64)
    useless.write_bytes(bytes(20_000))
    worker(here, Deltas(share=100, disk=10_000)).round()
    assert there(here) == {("a" * 64, "b" * 64), pair(here, old, new)}, "a minute old: somebody may be fetching it"
    os.utime(useless, (time.time() - BUSY - 5,) * 2)
    web = TestClient(create_app(here.kit.store, Settings(state=here.kit.store.paths.root)))
    unread = web.get(f"/deltas/{'a' * 64}/{'b' * 64}.zst", headers={"if-none-match": "*"})
    assert unread.status_code == 304, "so that no file system marks it"
    worker(here, Deltas(share=100, disk=10_000)).round()
    assert ("a" * 64, "b" * 64) in there(here), "the server said so"
    os.utime(useless, (time.time() - BUSY - 5,) * 2)
    worker(here, Deltas(share=100, disk=10_000)).round()
    assert there(here) == {pair(here, old, new)} and work(here).dropped == 1
    assert not useless.parent.exists()


def test_what_does_not_fit_is_not_made_again_and_again(here: Missed) -> None:
    here.reports("demo-1", here.releases[0])
    worker(here, Deltas(share=100, disk=100)).round()
    made = there(here)
    for path in here.folder.glob("deltas/*/*"):
        os.utime(path, (time.time() - BUSY - 5,) * 2)
    for _ in range(3):
        worker(here, Deltas(share=100, disk=100)).round()
    assert made and not there(here) and work(here).made == 1
    worker(here, Deltas(share=100, disk=0)).round()
    assert work(here).made == 1


@pytest.fixture
def zstd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that is found in its place."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder / "zstd"


@pytest.mark.parametrize(
    "does", ["exec sleep 60", "while :; do :; done", "kill -9 $$", "exit 3", 'cp "$0" "${@: -1}" && sleep 0']
)
def test_one_that_hangs_spins_dies_or_lies_is_ended_and_tried_again_a_day_later(
    does: str, here: Missed, zstd: Path
) -> None:
    here.reports("demo-1", here.releases[0])
    zstd.write_text(f"#!/bin/bash\n{does}\n")
    zstd.chmod(0o755)
    worker(here, seconds=1, wall=1.0).round()
    assert not there(here) and work(here).failed == 1
    assert not [*here.folder.glob("deltas/*/.new-*")], "nothing is left of it"
    worker(here).round()
    assert work(here).failed == 1
    zstd.unlink()


def test_the_end_of_the_controller_ends_what_is_made_at_once(here: Missed, zstd: Path, tmp_path: Path) -> None:
    here.reports("demo-1", here.releases[0])
    zstd.write_text(f"#!/bin/bash\necho $$ >{tmp_path}/pid\nexec sleep 60\n")
    zstd.chmod(0o755)
    with deltas(here.kit.store, Settings(state=here.kit.store.paths.root)):
        while not (tmp_path / "pid").is_file() or not (pid := (tmp_path / "pid").read_text()):
            time.sleep(0.02)
    assert not Path(f"/proc/{pid.strip()}/stat").exists() and not there(here)
    assert not work(here).tried, "it was no fault of its own"


def test_a_controller_that_lost_its_lease_makes_none(here: Missed) -> None:
    here.reports("demo-1", here.releases[0])
    store = here.kit.store
    with closing(Store.open(store.paths.root)) as second, store.lease.held():
        store.lease._token += 7  # as after a sleep in which another one took over
        with pytest.raises(LeaseError):
            worker(here).round()
        store.lease._token -= 7
        assert not there(here) and second.notes.get(DeltaWork) is None


def test_what_a_damaged_document_or_release_says_costs_no_other_box(here: Missed) -> None:
    old, _, _, new = here.releases
    here.publish(here.made(1, "box-9"), offered := here.made(3, "box-9"))
    here.reports("box-9", here.made(1, "box-9"))
    here.reports("demo-1", old)
    store = here.kit.store
    store.blobs.path(offered.digest).write_bytes(b"damaged")
    store.blobs.path(here.made(1, "box-9").digest).write_bytes(b"damaged")
    with store._database.write() as connection:
        connection.execute(notes.insert().values(name="deltas", document="[]"))
    worker(here).round()
    assert pair(here, old, new) in there(here)
    assert work(here).made >= 1


def test_both_forms_stay_with_their_layer_and_go_with_it(here: Missed) -> None:
    here.reports("demo-1", here.releases[0])
    worker(here).round()
    store = here.kit.store
    old, new = pair(here, here.releases[0], here.releases[-1])
    twice = store.layers.twice(old, new)
    twice.write_bytes(b"packed")
    for path in here.folder.rglob("*"):
        os.utime(path, (1, 1))
    collect(store, (), now=time.time(), grace=0)
    assert store.layers.delta(old, new).is_file() and twice.is_file()
    assert get(here, f"/deltas/{old}/{new}.zst.zst") == b"packed"
    store.layers.remove(new)
    assert not there(here) and not twice.exists()


def test_operators_see_what_deltas_cost_and_throw_them_away(here: Missed) -> None:
    here.reports("demo-1", here.releases[0])
    worker(here).round()
    store = here.kit.store
    store.notes.put(Spared({"2020-01-01": 1 << 40, time.strftime("%Y-%m-%d", time.gmtime()): 5 << 20}))
    state = ["--state", str(store.paths.root)]
    (row,) = json.loads(toweros("cache", "deltas", "-o", "json", *state).stdout)
    assert (row["from"], row["to"]) == pair(here, here.releases[0], here.releases[-1])
    assert 0 < row["bytes"] == work(here).size < row["whole"]
    said = toweros("status", *state)
    assert "deltas: 1 of 0.0 MiB; boxes were spared 5.0 MiB in 7 days" in " ".join(said.stderr.split()), said.output
    assert b"toweros_deltas_spared_bytes 5.24288e+06" in metrics.passes(store)
    assert "bytes of deltas" in toweros("cache", "clean", "--deltas", *state).stderr
    assert not there(here)
