"""An open page hears that something happened; nobody who listens holds up a server, or its end."""

import asyncio
import http.client
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gitops.model import EventType
from gitops.server import create_app, serve
from gitops.server.people import live
from gitops.settings import Settings
from gitops.store import Store

PATIENCE = 30.0


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK", 0.1)
    monkeypatch.setattr(live, "STEP", 0.05)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path)


@pytest.fixture
def place(store: Store) -> Iterator[str]:
    with serve(create_app(store, Settings(state=store.paths.root)), "127.0.0.1:0") as url:
        yield url.removeprefix("http://")


def listen(place: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    one = http.client.HTTPConnection(place, timeout=PATIENCE)
    one.request("GET", "/live")
    return one, one.getresponse()


def word(answer: http.client.HTTPResponse) -> str:
    """The next one."""
    for line in answer:
        if line.startswith(b"data: "):
            return line.decode()
    return ""


def test_an_event_is_told_and_what_it_was_is_not(store: Store, place: str) -> None:
    one, answer = listen(place)
    assert answer.headers["content-type"].startswith("text/event-stream")
    before = word(answer)
    store.events.add("box-1", EventType.WARNING, "Degraded", "secret words")
    after = word(answer)
    assert before != after and after.startswith("data: 1-") and "secret" not in after
    one.close()


def test_too_many_are_told_so_and_those_that_went_make_room(place: str) -> None:
    with ExitStack() as open_ones:
        some = [listen(place) for _ in range(live.EACH)]
        for one, answer in some:
            open_ones.callback(one.close)
            open_ones.callback(answer.close)
        refused, answer = listen(place)
        assert answer.status == 503 and answer.headers["retry-after"]
        refused.close()
    end = time.monotonic() + PATIENCE
    while (status := listen(place)[1].status) != 200 and time.monotonic() < end:
        time.sleep(0.1)
    assert status == 200


def test_a_server_ends_though_somebody_listens(store: Store) -> None:
    with serve(create_app(store, Settings(state=store.paths.root)), "127.0.0.1:0") as url:
        _, answer = listen(url.removeprefix("http://"))
        assert word(answer)
    assert answer.read() is not None, "it came to its end, and was not cut"


def test_who_is_gone_before_the_first_word_takes_no_place_for_ever(store: Store) -> None:
    """Who asks behind answers that nobody reads, and ends: on purpose, until no page of that address is told."""
    app = create_app(store, Settings(state=store.paths.root))
    scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
             "path": "/live", "raw_path": b"/live", "query_string": b"", "root_path": "", "scheme": "http",
             "headers": [(b"host", b"x")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}  # fmt: skip

    async def gone() -> dict[str, str]:
        await asyncio.sleep(0.02)
        return {"type": "http.disconnect"}

    async def nobody_reads(_: object) -> None:
        await asyncio.sleep(PATIENCE)

    async def come_and_go() -> None:
        for _ in range(live.EACH):
            await app({**scope}, gone, nobody_reads)

    asyncio.run(come_and_go())
    with serve(app, "127.0.0.1:0") as url:
        one, answer = listen(url.removeprefix("http://"))
        assert answer.status == 200
        one.close()
