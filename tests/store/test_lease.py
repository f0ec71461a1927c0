"""Two controllers on one store: the second waits, takes over when the first is gone, and the first never publishes."""

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from gitops.errors import StoreError
from gitops.publish import Publisher
from gitops.publish import folder as metadata
from gitops.sign import Signer
from gitops.store import LeaseError, Store, lease, tables
from gitops.store.notes.documents import Status
from tests.kit.databases import Postgres, both
from tests.kit.published import Kit, kit

SOON = 20.0
"""Seconds on a busy machine; what is measured is far below `lease.STALE`."""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> float:
    """Everything ten times as fast; children inherit it."""
    for name in ("RENEW", "STALE", "LOOK"):
        monkeypatch.setattr(lease, name, getattr(lease, name) / 10)
    return lease.STALE


@pytest.fixture
def here(tmp_path: Path, database: str) -> Kit:
    made = kit(tmp_path)
    made.store.close()
    store = Store.open(tmp_path / "state", database)
    return Kit(tmp_path, store, made.signer, Publisher(store, made.signer))


class Other:
    """A controller in a process of its own, which publishes when it is asked to."""

    def __init__(self, folder: Path, database: str, *, stopping: str = "") -> None:
        context = multiprocessing.get_context("fork")
        self.ours, theirs = context.Pipe()
        self.process = context.Process(target=_control, args=(folder, database, theirs, stopping), daemon=True)
        self.process.start()
        theirs.close()

    def wait(self, seconds: float = SOON) -> str:
        assert self.ours.poll(seconds), "it says nothing"
        return str(self.ours.recv())

    def ask(self, box: str) -> None:
        self.ours.send(box)

    def send(self, number: signal.Signals) -> None:
        assert self.process.pid
        os.kill(self.process.pid, number)


def _control(folder: Path, database: str, pipe: Connection, stopping: str) -> None:
    store = Store.open(folder / "state", database)
    here = Kit(
        folder, store, Signer.open(folder / "keys", store), Publisher(store, Signer.open(folder / "keys", store))
    )
    if stopping:
        metadata.arriving = _stopped_before(stopping, metadata.arriving)  # type: ignore[assignment]
    with suppress(EOFError), store.lease.held(threading.Event()):
        pipe.send("held")
        while True:
            box = pipe.recv()
            try:
                here.publisher.publish([here.publication(box, 1)])
                pipe.send("published")
            except LeaseError as error:
                pipe.send(f"lost: {error.message}")
            except StoreError as error:
                pipe.send(f"failed: {error.message}")


def _stopped_before(name: str, arriving: Callable[..., object]) -> Callable[..., object]:
    """The process stops right before a file takes its name: after every check."""

    @contextmanager
    def stopped(target: Path, folder: Path | None = None) -> Iterator[Path]:
        with arriving(target, folder) as new:  # type: ignore[attr-defined]
            yield new
            if target.name.endswith(name):
                os.kill(os.getpid(), signal.SIGSTOP)

    return stopped


@pytest.fixture
def other(tmp_path: Path, database: str) -> Iterator[Callable[..., Other]]:
    made: list[Other] = []

    def start(**options: str) -> Other:
        made.append(Other(tmp_path, database, **options))
        return made[-1]

    yield start
    for each in made:
        each.process.kill()
        each.process.join()


def offered(here: Kit) -> set[str]:
    folder = here.store.paths.metadata
    targets = here.signer.targets(lambda name: (folder / name).read_bytes() if (folder / name).is_file() else None)
    return {path.split("/")[0] for path in targets}


@both
def test_the_second_waits_and_takes_over_at_once_when_the_first_is_killed(
    here: Kit, other: Callable[..., Other]
) -> None:
    first = other()
    assert first.wait() == "held"
    second = other()
    assert not second.ours.poll(2)
    start = time.monotonic()
    first.send(signal.SIGKILL)
    assert second.wait() == "held" and time.monotonic() - start < lease.STALE / 2
    second.ask("a")
    assert second.wait() == "published" and offered(here) == {"a"}


@both
def test_a_controller_that_slept_through_its_lease_never_publishes(
    here: Kit, quick: float, other: Callable[..., Other]
) -> None:
    first = other()
    assert first.wait() == "held"
    second = other()
    first.send(signal.SIGSTOP)
    assert second.wait() == "held"
    second.ask("a")
    assert second.wait() == "published"
    first.send(signal.SIGCONT)
    first.ask("b")
    assert first.wait() == "lost: another controller has taken over" and offered(here) == {"a"}


@both
@pytest.mark.parametrize("file", [".snapshot.json", "timestamp.json"])
def test_one_that_slept_right_before_a_rename_has_nothing_to_rename(
    here: Kit, quick: float, other: Callable[..., Other], file: str
) -> None:
    first = other(stopping=file)
    assert first.wait() == "held"
    second = other()
    first.ask("b")
    assert second.wait() == "held"
    second.ask("a")
    assert second.wait() == "published"
    timestamp = (here.store.paths.metadata / "timestamp.json").read_bytes()
    first.send(signal.SIGCONT)
    assert first.wait().startswith("lost: ")
    assert (here.store.paths.metadata / "timestamp.json").read_bytes() == timestamp and offered(here) == {"a"}


@both
def test_an_old_lease_changes_neither_offers_nor_documents(here: Kit) -> None:
    store, publication = here.store, here.publication("a", 1)
    with store.lease.held():
        store.offers.save_candidate(publication, "key")
        with store._database.write() as connection:
            connection.execute(tables.leases.update().values(token=tables.leases.c.token + 1))
        for change in (
            lambda: store.offers.promote(["a"]),
            lambda: store.offers.save_published(publication, "key"),
            lambda: store.offers.forget_candidate("a"),
            lambda: store.notes.put(Status()),
            lambda: here.publisher.publish([publication]),
        ):
            with pytest.raises(LeaseError):
                change()
        store.boxes.enroll("a", "ab" * 32)  # a box may still be heard
    assert store.offers.published("a") is None and store.offers.candidates(["a"]) == [publication]
    assert store.notes.get(Status) is None


@both
def test_a_verb_sees_soon_that_the_controller_lives(here: Kit, other: Callable[..., Other]) -> None:
    assert other().wait() == "held"
    start = time.monotonic()
    with pytest.raises(StoreError, match="in use by another controller: process") as caught, here.store.lease.held():
        pass
    assert "stop it first" in caught.value.hint and time.monotonic() - start < lease.STALE / 2


@both
def test_a_host_that_is_gone_is_waited_for_and_no_longer(here: Kit, quick: float, database: str) -> None:
    with here.store.lease.held():
        pass
    far = {"host": "far", "boot": "another", "space": "pid:[1]", "pid": 1, "started": "1"}
    with here.store._database.write() as connection:
        connection.execute(tables.leases.update().values(holder=json.dumps(far)))
    start = time.monotonic()
    with here.store.lease.held():
        took = time.monotonic() - start
    assert quick < took < quick + SOON


@both
@pytest.mark.parametrize("jump", [-86400, 86400])
def test_no_clock_may_jump_a_controller_out(
    here: Kit, quick: float, other: Callable[..., Other], jump: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time
    with monkeypatch.context() as earlier:
        earlier.setattr(time, "time", lambda: now() + jump)
        first = other()
        assert first.wait() == "held"
    second = other()
    assert not second.ours.poll(2 * quick), "the first one lives"
    first.ask("a")
    assert first.wait() == "published"
    first.send(signal.SIGKILL)
    assert second.wait() == "held"


@both
def test_one_of_many_holds_at_a_time(here: Kit, quick: float, tmp_path: Path, database: str) -> None:
    inside = tmp_path / "inside"

    def work() -> None:
        store = Store.open(tmp_path / "state", database)
        with store.lease.held(threading.Event()):
            inside.touch(exist_ok=False)
            time.sleep(0.05)
            inside.unlink()
        store.close()

    children = [multiprocessing.get_context("fork").Process(target=work) for _ in range(6)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * 6
    with here.store._database.read() as connection:
        assert connection.execute(tables.leases.select()).one().token == 6, "each had its own"


@both
def test_one_database_goes_with_one_folder(here: Kit, tmp_path: Path, database: str) -> None:
    with here.store.lease.held():
        pass
    name = here.store.paths.identity.read_text()
    here.store.paths.identity.unlink()
    with pytest.raises(StoreError, match="goes with another folder") as caught, here.store.lease.held():
        pass
    assert name.strip() in caught.value.hint
    here.store.paths.identity.write_text("another\n")
    with pytest.raises(StoreError, match="goes with another folder"), here.store.lease.held():
        pass
    here.store.paths.identity.write_text(name)
    with here.store.lease.held():
        pass


def test_while_the_database_is_away_nothing_is_published_and_then_it_goes_on(tmp_path: Path, quick: float) -> None:
    server = Postgres()
    server.start()
    here = kit(tmp_path)
    child = None
    try:
        child = Other(tmp_path, server.create())
        assert child.wait() == "held"
        server.stop()
        child.ask("a")
        assert child.wait().startswith("failed: the database")
        time.sleep(quick)
        server.start()
        child.ask("a")
        assert child.wait() == "published" and offered(here) == {"a"}
    finally:
        if child:
            child.process.kill()
            child.process.join()
        server.close()
