"""Strangers ask for a name: neither disk nor list grows by them, and no code of theirs is another machine's."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient

from gitops.errors import StoreError
from gitops.model import canonical
from gitops.model.machines.newcomer import code
from gitops.server import create_app
from gitops.settings import Settings
from gitops.sign.box import fingerprint
from gitops.store import Store
from gitops.store.notes.newcomers import FORGET, Newcomer, Newcomers
from gitops.workflows.enrolment import newcomers
from gitops.workflows.enrolment.newcomers import AGAIN, MOST, MOST_AT, RESTS, Said, with_newcomer
from tests.kit.contracts import good
from tests.kit.databases import both

NOW = 1_790_000_000


class Stranger:
    """Whoever has a key of his own, and says what he wants."""

    def __init__(self, name: str = "new.vm") -> None:
        self.private, self.name = Ed25519PrivateKey.generate(), name
        self.key = self.private.public_key().public_bytes_raw().hex()

    def body(self, **members: object) -> bytes:
        text = canonical(good("report", "newcomer") | {"box": self.name} | members)
        return canonical({"report": text.decode(), "signature": self.private.sign(text).hex(), "key": self.key})

    def said(self) -> Said:
        text = b"report"
        return Said(self.name, text, self.private.sign(text).hex(), self.key, "7XK2Q13")


@pytest.fixture
def store(tmp_path: Path, database: str) -> Store:
    return Store.open(tmp_path, database)


def ask(store: Store, stranger: Stranger, address: str, now: int = NOW) -> None:
    newcomers.ask(store, stranger.said(), address, now)


def waiting(store: Store, now: int = NOW) -> Mapping[str, Newcomer]:
    return newcomers.living(store, now)


@both
def test_one_address_has_so_many_places_and_who_came_first_stays(store: Store) -> None:
    strangers = [Stranger() for _ in range(MOST_AT + 3)]
    for each in strangers:
        ask(store, each, "192.0.2.7")
    assert [*waiting(store)] and {*waiting(store)} == {each.key for each in strangers[:MOST_AT]}
    neighbours = Stranger(), Stranger()
    ask(store, neighbours[0], "192.0.2.8")
    assert len(waiting(store)) == MOST_AT + 1
    for number in range(MOST_AT + 1):
        ask(store, Stranger(), f"2001:db8::{number:x}")
    assert len(waiting(store)) == 2 * MOST_AT + 1, "a /64 is one place"


def full(now: int) -> dict[str, Newcomer]:
    return {f"{number:064x}": Newcomer("vm", now, now, f"198.51.{number // 8}.1") for number in range(MOST)}


def test_in_a_full_list_the_longest_unheard_falls_out_and_never_an_adopted_one(store: Store) -> None:
    rows = full(NOW)
    first, second = [*rows][:2]
    rows[first] = Newcomer("vm", NOW - 500, NOW - 300, "203.0.113.1", box="site-9")
    rows[second] = Newcomer("vm", NOW - 500, NOW - 200, "203.0.113.2")
    store.notes.put(Newcomers(rows))
    stranger, another = Stranger(), Stranger()
    ask(store, stranger, "192.0.2.7")
    assert first in waiting(store) and second not in waiting(store) and stranger.key in waiting(store)
    ask(store, another, "192.0.2.8")
    assert another.key not in waiting(store), "whoever was heard just now is not driven out"
    ask(store, another, "192.0.2.8", NOW + RESTS)
    assert another.key in waiting(store, NOW + RESTS) and len(waiting(store, NOW + RESTS)) == MOST
    assert store.events.latest(limit=10) == [], "a flood is not told one by one"


def test_a_request_is_written_seldom_and_forgotten_after_an_hour(store: Store) -> None:
    stranger = Stranger()
    ask(store, stranger, "192.0.2.7")
    rows = waiting(store)
    assert with_newcomer(rows, stranger.said(), "192.0.2.9", NOW + AGAIN - 1) is None, "whatever is said"
    assert with_newcomer(rows, stranger.said(), "192.0.2.9", NOW + AGAIN) is not None
    assert waiting(store, NOW + FORGET - 1) and not waiting(store, NOW + FORGET)
    assert not waiting(store, NOW - FORGET), "a clock that was ahead keeps nobody"


def test_a_wrong_a_short_and_a_guessed_code_adopt_nobody(store: Store) -> None:
    stranger, machine = Stranger(), Stranger()
    ask(store, stranger, "192.0.2.7")
    ask(store, machine, "192.0.2.8")
    right = code(machine.key)
    assert right == fingerprint(machine.key)[:24], "what `toweros-box status` shows begins with it"
    for good_one in (right, right.upper(), right.replace("-", " "), fingerprint(machine.key), machine.key):
        assert newcomers.find(store, good_one, NOW)[0] == machine.key
    wrong = right[:-1] + ("0" if right[-1] != "0" else "1")
    with pytest.raises(StoreError, match="no machine asks with the code"):
        newcomers.find(store, wrong, NOW)
    for short in ("", "-", right[:4], right[:-1]):
        with pytest.raises(StoreError, match="a code has 20 digits"):
            newcomers.find(store, short, NOW)
    with pytest.raises(StoreError, match="no machine asks"):
        newcomers.find(store, right, NOW + FORGET)


@both
def test_what_strangers_send_is_refused_and_leaves_nothing_else(store: Store, tmp_path: Path) -> None:
    web, stranger = TestClient(create_app(store, Settings(state=tmp_path))), Stranger()
    post = "/api/v1/boxes/new.vm/report"
    assert web.post(post, content=stranger.body()).status_code == 403
    assert [*waiting(store, int(time.time()))] == [stranger.key]
    for body in (
        stranger.body(box="site-9"),
        stranger.body(hardware={"serial": "x" * 65, "macs": []}),
        stranger.body(hardware={"serial": "<script>\u0007", "macs": []}),
        stranger.body(hardware={"serial": "", "macs": ["52:54:00:12:34:56"] * 17}),
        Stranger("new.VM").body(),
        b"{}",
    ):
        assert web.post(post, content=body).status_code in (400, 422)
    for name in ("new.", "new.a.b", "new.-", "new.Vm", "claims.new", "new." + "x" * 64):
        assert web.post(f"/api/v1/boxes/{name}/report", content=Stranger(name).body()).status_code == 403
    assert [*waiting(store, int(time.time()))] == [stranger.key]
    assert store.boxes.row("new.vm") is None and store.states.all() == []


def test_who_waits_is_pending_on_the_page_in_the_api_and_in_the_metrics(store: Store, tmp_path: Path) -> None:
    web, stranger = TestClient(create_app(store, Settings(state=tmp_path))), Stranger()
    hostile = {"serial": "<b>&", "macs": ["52:54:00:12:34:56"]}
    web.post("/api/v1/boxes/new.vm/report", content=stranger.body(hardware=hostile))
    page = web.get("/").text
    assert "Pending" in page and f"toweros box adopt {code(stranger.key)}" in page and "&lt;b&gt;&amp;" in page
    (row,) = web.get("/api/v1/boxes").json()["pending"]
    assert (row["code"], row["role"], row["serial"]) == (code(stranger.key), "vm", "<b>&")
    assert 'toweros_pending{role="vm"} 1.0' in web.get("/metrics").text


@both
def test_what_a_machine_asked_before_it_had_a_name_asks_for_nothing_afterwards(store: Store, tmp_path: Path) -> None:
    """Repeated by whoever heard it, it had signed metadata made anew, and an event told of a machine that waits."""
    web, machine = TestClient(create_app(store, Settings(state=tmp_path))), Stranger()
    post, asked = "/api/v1/boxes/new.vm/report", machine.body(counter=4200)
    assert web.post(post, content=asked).status_code == 403
    store.boxes.enroll("site-9", machine.key)
    again = machine.body(counter=4300)
    assert web.post(post, content=again).status_code == 403, "it has not reported under its name yet"
    store.notes.put(Newcomers())
    named = Stranger("site-9")
    named.private = machine.private
    assert web.post("/api/v1/boxes/site-9/report", content=named.body(counter=5000)).status_code == 204
    before = len(store.events.latest("", 100))
    for body in (asked, again):
        assert web.post(post, content=body).status_code == 409
    assert not waiting(store, int(time.time())) and len(store.events.latest("", 100)) == before
    lost = machine.body(boot_id="another-boot", counter=1)
    assert web.post(post, content=lost).status_code == 403 and [*waiting(store, int(time.time()))] == [machine.key]
