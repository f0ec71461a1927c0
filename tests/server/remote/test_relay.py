"""The ends of a session on the update server: who gets in, what is delivered, and when it is over."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from gitops.model import sha256
from gitops.model.access.remote import IDLE, LONGEST, MOST_BYTES
from gitops.server import create_app
from gitops.server.boxes.sessions import HEADER, close, header
from gitops.server.remote.admission import CONTEXT
from gitops.server.remote.pipes import MOST, ROOM, Gap, Pipe
from gitops.server.remote.relay import GONE, Session, Side
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.remote import Asked, RemoteSessions

NOW = 1_795_000_000
TOKEN = "a-token-of-some-length"
ASKED = Asked(7, "logs", "ada", "why", "AAAA", sha256(TOKEN.encode()), NOW, NOW + 300)
NAME = "demo-1.0000000000000007"
PERSON = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path)


@pytest.fixture
def web(store: Store) -> Iterator[TestClient]:
    just_asked(store, 300)
    with TestClient(create_app(store, Settings(state=store.paths.root))) as client:
        yield client


def just_asked(store: Store, ends_in: int) -> None:
    """Counted from when the test runs: a whole run takes longer than a request counts."""
    now = int(time.time())
    store.notes.put(RemoteSessions((replace(ASKED, asked=now, until=now + ends_in),)), "demo-1")


def enrolled(store: Store, box: str) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    store.boxes.enroll(box, key.public_key().public_bytes_raw().hex())
    return key


def proof(key: Ed25519PrivateKey, name: str = NAME) -> dict[str, str]:
    return {"authorization": f"TowerOS {key.sign(CONTEXT + name.encode()).hex()}"}


def test_only_the_box_and_the_person_who_asked_are_let_in(web: TestClient, store: Store) -> None:
    box, other = enrolled(store, "demo-1"), enrolled(store, "demo-2")
    place = f"/api/v1/remote/{NAME}"
    strangers: list[dict[str, str]] = [{}, {"authorization": ""}, {"authorization": "Bearer " + "x" * 30}, proof(other)]
    strangers += [proof(box, "demo-1.0000000000000008"), {"authorization": "TowerOS " + "0" * 128}]
    for side, right, others in (("box", proof(box), PERSON), ("person", PERSON, proof(box))):
        for headers in (*strangers, others):
            answers = [web.get(f"{place}/{side}?at=0", headers=headers), web.delete(f"{place}/{side}", headers=headers)]
            assert {each.status_code for each in answers} == {403}
        assert web.post(f"{place}/{side}?at=0", content=side.encode(), headers=right).status_code == 204
    assert web.get(f"{place}/person?at=0", headers=PERSON).content == b"box"
    assert web.get(f"{place}/box?at=0", headers=proof(box)).content == b"person"
    for name in ("demo-1.7", "demo-2.0000000000000007", "demo-1.0000000000000009", "x", "../" + NAME):
        assert web.get(f"/api/v1/remote/{name}/person", headers=PERSON).status_code in (403, 404)
    store.boxes.revoke("demo-1")
    app = create_app(store, Settings(state=store.paths.root))
    assert TestClient(app).get(f"{place}/box?at=0", headers=proof(box)).status_code == 403, "it is revoked"


def test_what_is_over_is_over_for_every_server(web: TestClient, store: Store) -> None:
    place = f"/api/v1/remote/{NAME}/person"
    assert header(store, "demo-1") == {HEADER: "AAAA"}
    assert web.delete(place, headers=PERSON).status_code == 204
    assert web.post(f"{place}?at=0", content=b"x", headers=PERSON).status_code == 410
    end = time.monotonic() + 10
    while header(store, "demo-1") and time.monotonic() < end:
        web.get("/healthz")
        time.sleep(0.05)
    assert header(store, "demo-1") == {}, "no box is asked to come any more"
    with TestClient(create_app(store, Settings(state=store.paths.root))) as another:
        answer = another.get(place, headers=PERSON)
        assert (answer.status_code, answer.json()["detail"]) == (410, "this session is over")
        just_asked(store, -1)
        assert another.get(place, headers=PERSON).status_code == 410
    close(store, "demo-2", 7)
    assert header(store, "demo-1") == {}


def test_a_body_or_an_offset_that_is_too_large_is_refused(web: TestClient) -> None:
    place = f"/api/v1/remote/{NAME}/person"
    assert web.post(f"{place}?at=0", content=bytes(MOST + 1), headers=PERSON).status_code == 413
    assert web.post(f"{place}?at=5", content=b"x", headers=PERSON).status_code == 409
    assert web.get(f"{place}?at=5", headers=PERSON).status_code == 409
    for at in ("-1", str(1 << 60), "x"):
        assert web.get(f"{place}?at={at}", headers=PERSON).status_code == 422


def test_each_bound_ends_a_session_with_a_sentence() -> None:
    def one(**said: float) -> Session:
        session = Session("demo-1", ASKED, spoke=1000.0, joined=1000.0)
        session.heard = dict.fromkeys(Side, 1000.0)
        for name, value in said.items():
            setattr(session, name, value)
        return session

    assert one().overdue(1010.0, NOW) == ""
    assert one().overdue(1000.0 + GONE + 1, NOW) == "the box is not heard any more"
    here = {side: 1e9 for side in Side}
    quiet, long = one(heard=here), one(heard=here, spoke=1e9)  # type: ignore[arg-type]
    assert quiet.overdue(1000.0 + IDLE + 1, NOW) == "nothing was said for 10 minutes"
    assert long.overdue(1000.0 + LONGEST + 1, NOW) == "a session has 60 minutes at most"
    never = one(joined=0.0)
    never.heard[Side.box] = 0.0
    assert never.overdue(1010.0, NOW + 299) == "" and "did not come in time" in never.overdue(1010.0, NOW + 301)
    full = one()
    full.pipes[Side.box]._start = MOST_BYTES + 1
    assert full.overdue(1010.0, NOW) == "a session carries 256 MiB at most"


def test_a_side_that_takes_nothing_fills_no_memory() -> None:
    async def story() -> None:
        pipe, at = Pipe(), 0
        while await pipe.put(at, bytes(MOST), 0.01):
            at += MOST
        assert at <= ROOM
        assert len(await pipe.get(0, 0.01)) == MOST and await pipe.get(MOST, 0.01)
        assert await pipe.put(at, bytes(MOST), 0.01), "there is room again"

    asyncio.run(story())


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=2000), st.lists(st.tuples(st.integers(1, 300), st.booleans(), st.booleans()), max_size=60))
def test_whatever_is_asked_again_arrives_once_and_in_order(text: bytes, turns: list[tuple[int, bool, bool]]) -> None:
    """Each turn, a piece is written and one is read; of each, the answer may get lost, and it is asked again."""

    async def story() -> bytes:
        pipe, sent, got = Pipe(), 0, b""
        for size, lost_write, lost_read in [*turns, *[(300, False, False)] * 20]:
            piece = text[sent : sent + size]
            await pipe.put(sent, piece, 0.01)
            sent += 0 if lost_write else len(piece)
            data = await pipe.get(len(got), 0.0001)
            got += b"" if lost_read else data
        with pytest.raises(Gap):
            await pipe.put(len(text) + 1, b"x", 0.01)
        return got

    assert asyncio.run(story()) == text
