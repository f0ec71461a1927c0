"""A report at rest is small, one with news is whole, and whoever cannot read the small form costs no report.

The agent's own reporter against the real server, over a wire that counts.
"""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from toweros_agent.facts.facts import Facts
from toweros_agent.machine import State
from toweros_agent.offer.net import Http
from toweros_agent.outgoing.identity import Identity
from toweros_agent.outgoing.rows import Health
from toweros_agent.outgoing.small import Small
from toweros_agent.report import Report, Reporter
from toweros_agent.settings import Places

from gitops.model import canonical, sha256
from gitops.noc.saying.relaying import Relay
from gitops.noc.saying.relaying import router as noc_router
from gitops.noc.saying.reports import Reports
from gitops.server import create_app, serve
from gitops.server.boxes.reports import take
from gitops.server.boxes.small import MAX_SMALL
from gitops.server.boxes.small import whole as expanded
from gitops.settings import Settings
from gitops.sign import box as box_keys
from gitops.store import Store
from gitops.store.notes.reported import BoxFacts, WholeReport
from tests.kit.contracts import good, problems, vectors
from tests.kit.counted import Wire, counted
from tests.kit.published import kit

NAME = "demo-1"
KEYS = {name: digit * 64 for name, digit in (("PK", "1"), ("KEK", "2"), ("db", "3"), ("dbx", "6"))}
WELL = Report(
    7, "0" * 64, "0" * 64, State.IDLE, Health.HEALTHY, "", 0, 6, "toweros-7.efi", [], [], {"repaired": 0}, [],
    firmware={"secure_boot": True, "setup_mode": False, "keys": KEYS, "grown": ["", "5" * 64]},
    room={"toweros": 2044723200, "esp": 267382784, "back": "7" * 64},
    trusted={"timestamp": 12, "snapshot": 9, "sha256": "4" * 64},
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = kit(tmp_path / "kit")
    made.publisher.publish([made.publication(NAME, 1)])
    return made.store


@pytest.fixture
def wire(store: Store) -> Iterator[Wire]:
    with serve(create_app(store, Settings(state=store.paths.root)), "127.0.0.1:0") as url, counted(url) as wire:
        yield wire


def box(folder: Path, store: Store, url: str) -> Reporter:
    """A box that is let in, with what it reads on this machine."""
    private, public = box_keys.make()
    store.boxes.enroll(NAME, public)
    (folder / "toweros" / "identity").mkdir(parents=True)
    (folder / "toweros" / "identity" / "box.key").write_bytes(box_keys.text_of(private, public))
    (folder / "boot_id").write_text("0b5e6f8a-9d4b-4f8e-8d59-0a5a2f0a7d11\n")
    identity = Identity(folder / "toweros" / "identity", folder / "esp")
    facts = Facts(Places(run=folder, state=folder), 30)
    return Reporter(Http(lambda: None, time.sleep), url, NAME, identity, folder / "boot_id", facts)


def bodies(wire: Wire) -> list[dict[str, Any]]:
    return [json.loads(each.partition(b"\r\n\r\n")[2]) for each in wire.requests]


def say(reporter: Reporter, report: Report = WELL) -> str:
    time.sleep(0.002)  # the counter is in milliseconds
    return reporter.send(report)


def test_a_report_at_rest_is_at_most_600_bytes_on_the_wire_with_its_head(
    tmp_path: Path, store: Store, wire: Wire
) -> None:
    reporter = box(tmp_path / "box", store, wire.url)
    for _ in range(3):
        assert say(reporter) == ""
    whole, *small = wire.requests
    assert len(whole) > 1200, "the story has a report of a real size"
    assert len(small) == 2 and all(len(each) <= 600 for each in small), [len(each) for each in small]
    for body in bodies(wire)[1:]:
        assert problems("small", body) == [] and body["base"] == bodies(wire)[1]["base"]
    last = store.boxes.report(NAME)
    assert last and last.facts and last.facts["poll"] == 30 and last.firmware == WELL.firmware
    told = json.loads(bodies(wire)[0]["report"])
    assert problems("report", told) == [] and last.counter > told["counter"]


def test_a_box_with_every_fact_changing_stays_below_600_bytes() -> None:
    """Of a name and a server of 20 and 30 characters; what is above is sent whole once, and built on then."""
    facts = good("report", "facts")["facts"]
    before = good("report", "facts", counter=9_999_999_999)
    moved = facts | {"temperature": 49, "memory": {"used": 999 << 20, "size": facts["memory"]["size"]}}
    moved["links"] = facts["links"] | {"wlan0": {"addresses": ["198.51.100.7/24"], "signal": -65}}
    moved["disks"] = facts["disks"] | {"state": {"used": 999 << 20, "size": facts["disks"]["state"]["size"]}}
    form = Small()
    form.keep(canonical(before), before)
    body = form.body(before | {"counter": 9_999_999_998, "time": 1_760_000_030, "facts": moved}, "a" * 128)
    head = len(
        f"POST /api/v1/boxes/{'n' * 20}/report HTTP/1.1\r\nHost: {'h' * 30}\r\nAccept-Encoding: identity\r\n"
        "Content-Length: 400\r\nContent-Type: application/json\r\n\r\n"
    )
    assert body and problems("small", json.loads(body)) == [] and head + len(body) <= 600
    assert form.body(before | {"error": "x" * 300}, "a" * 128) is None


def test_what_changed_is_said_whole_and_rest_builds_on_that(tmp_path: Path, store: Store, wire: Wire) -> None:
    reporter = box(tmp_path / "box", store, wire.url)
    worse = replace(WELL, health=Health.DEGRADED, degraded=("no watchdog",))
    for report in (WELL, WELL, worse, worse):
        assert say(reporter, report) == ""
    assert ["base" in body for body in bodies(wire)] == [False, True, False, True]
    last = store.boxes.report(NAME)
    assert last and last.degraded == ("no watchdog",)


def test_a_box_says_with_each_look_that_it_lives_where_that_is_small(tmp_path: Path, store: Store, wire: Wire) -> None:
    reporter = box(tmp_path / "box", store, wire.url)
    assert reporter.offer(WELL, 0.3) == ""
    assert json.loads(bodies(wire)[0]["report"])["facts"]["every"] == 600, "it does not know yet who takes what"
    assert reporter.offer(WELL, 0.3) == "" and len(wire.requests) == 1, "at most one a look"
    time.sleep(1)
    assert reporter.offer(WELL, 0.3) == "" and len(wire.requests) == 2
    note = store.notes.get(BoxFacts, NAME)
    assert note and note.every == 1, "the next one comes with the next look"


def test_a_server_that_lost_the_report_before_asks_for_the_whole_one(tmp_path: Path, store: Store, wire: Wire) -> None:
    reporter = box(tmp_path / "box", store, wire.url)
    assert say(reporter) == ""
    store.notes.forget(WholeReport, [NAME])
    assert say(reporter) == ""
    assert ["base" in body for body in bodies(wire)] == [False, True, False], "both in one breath"
    assert say(reporter) == "" and "base" in bodies(wire)[-1]


class OfBefore:
    """A server that knows no small form: its header goes, and a body that is no envelope is refused."""

    def __init__(self, app: ASGIApp, lies: bool) -> None:
        self.app, self.lies = app, lies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def said(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [each for each in message["headers"] if each[0] != b"toweros-small"]
                message["headers"] = [*kept, (b"toweros-small", b"1")] if self.lies else kept
            await send(message)

        async def heard() -> Message:
            message = await receive()
            if b'"base"' in message.get("body", b""):
                message["body"] = b'{"not": "an envelope"}'
            return message

        await self.app(scope, heard, said)


@pytest.mark.parametrize("lies", [False, True])
def test_an_older_server_gets_the_old_form_also_where_somebody_claims_that_it_takes_the_new_one(
    tmp_path: Path, store: Store, lies: bool
) -> None:
    app = OfBefore(create_app(store, Settings(state=store.paths.root)), lies)
    with serve(app, "127.0.0.1:0") as url, counted(url) as wire:
        reporter = box(tmp_path / "box", store, wire.url)
        assert [say(reporter) for _ in range(3)] == ["", "", ""]
        wholes = [body for body in bodies(wire) if "report" in body]
        assert len(wholes) == 3 and (len(bodies(wire)) > 3) == lies
        if not lies:
            assert reporter.offer(WELL, 1) == "" and len(wire.requests) == 3, "and as seldom as before"


def test_a_site_whose_origin_is_away_gets_and_keeps_the_whole_one(tmp_path: Path, store: Store) -> None:
    from fastapi import FastAPI

    with serve(create_app(store, Settings(state=store.paths.root)), "127.0.0.1:0") as origin:
        relay = Relay(origin, Reports(tmp_path / "reports"))
        noc = FastAPI()
        noc.include_router(noc_router(relay, lambda _: None, lambda _: True))
        with serve(noc, "127.0.0.1:0") as url, counted(url) as wire:
            reporter = box(tmp_path / "box", store, wire.url)
            assert [say(reporter) for _ in range(2)] == ["", ""] and "base" in bodies(wire)[-1], "through the site"
            relay.gone()
            assert say(reporter) == ""
            assert relay.reports.waiting() == {NAME: 1} and "report" in bodies(wire)[-1]
            assert not reporter.each_time and reporter.every == 600, "what waits at the site is not sent at each look"
            relay.drain()
            assert relay.reports.waiting() == {}


# --- hostile bodies ---


@pytest.fixture
def here(tmp_path: Path) -> Store:
    """A server that nothing was published on."""
    return Store.open(tmp_path)


@pytest.fixture
def web(here: Store) -> Iterator[TestClient]:
    with TestClient(create_app(here, Settings(state=here.paths.root))) as client:
        yield client


@pytest.fixture
def key(here: Store) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    here.boxes.enroll(NAME, key.public_key().public_bytes_raw().hex())
    return key


def whole(key: Ed25519PrivateKey, **said: Any) -> tuple[bytes, bytes]:
    """A body, and the text in it."""
    text = canonical(good("report", "facts", counter=1) | said)
    return canonical({"report": text.decode(), "signature": key.sign(text).hex()}), text


def small(key: Ed25519PrivateKey, base: bytes, patch: Any, after: bytes) -> bytes:
    return canonical({"base": sha256(base)[:32], "patch": patch, "signature": key.sign(after).hex()})


def post(web: TestClient, body: bytes) -> int:
    return web.post(f"/api/v1/boxes/{NAME}/report", content=body).status_code


def test_what_is_put_together_counts_only_with_the_signature_over_all_of_it(
    web: TestClient, here: Store, key: Ed25519PrivateKey
) -> None:
    first, text = whole(key)
    assert post(web, first) == 204
    _, later = whole(key, counter=2)
    assert post(web, small(key, text, {"counter": 3}, later)) == 403, "another patch than the one that was signed"
    assert post(web, small(key, text, {"counter": 2, "health": "Degraded"}, later)) == 403
    assert post(web, small(Ed25519PrivateKey.generate(), text, {"counter": 2}, later)) == 403
    assert post(web, small(key, later, {"counter": 2}, later)) == 412, "it builds on what nobody has"
    assert post(web, small(key, text, {"counter": 2}, later)) == 204
    assert post(web, small(key, text, {"counter": 2}, later)) == 409, "and once"
    assert here.boxes.report(NAME).counter == 2  # type: ignore[union-attr]


def test_a_patch_that_grows_or_nests_without_end_ends_in_a_refusal(
    web: TestClient, key: Ed25519PrivateKey, here: Store
) -> None:
    first, text = whole(key)
    assert post(web, first) == 204
    deep: Any = {"x": 1}
    for _ in range(500):
        deep = {"x": deep}
    assert post(web, small(key, text, deep, text)) == 400
    assert post(web, small(key, text, {"x": "y" * MAX_SMALL}, text)) == 413
    assert post(web, b'{"base":' + b"[" * 3000) == 400
    for name in ("a%00b", "new.vm", "X" * 300):
        body = small(key, text, {"counter": 2}, text)
        assert web.post(f"/api/v1/boxes/{name}/report", content=body).status_code == 400, "nothing is looked up for it"
    here.notes.put(WholeReport(sha256(text)[:32], "no base64 of anything"), NAME)
    assert post(web, small(key, text, {"counter": 2}, text)) in (400, 412), "what is kept is damaged"
    assert post(web, whole(key, counter=2)[0]) == 204


def test_a_small_report_is_read_across_versions(here: Store) -> None:
    for parameters in vectors("small", "good", "ahead", "damaged"):
        (vector,) = parameters.values
        with pytest.raises(HTTPException) as refused:
            expanded(here, NAME, vector.read_bytes())
        damaged = vector.parent.name == "damaged"
        assert refused.value.status_code == (400 if damaged else 412), f"{vector} builds on what is not here"
    (before,) = vectors("small", "before")[0].values
    assert expanded(here, NAME, before.read_bytes()) == before.read_bytes()


def test_two_boxes_with_one_key_cost_each_other_no_report(tmp_path: Path, store: Store, wire: Wire) -> None:
    """A copied disk: each of them is told whole when the other one was."""
    reporter = box(tmp_path / "box", store, wire.url)
    (tmp_path / "boot_id").write_text("another\n")
    facts = Facts(Places(run=tmp_path, state=tmp_path), 30)
    twin = Reporter(Http(lambda: None, time.sleep), wire.url, NAME, reporter.identity, tmp_path / "boot_id", facts)
    done: list[str] = []
    for _ in range(3):
        done += [say(reporter), say(twin)]
    assert done == [""] * 6
    assert threading.active_count() < 50


# --- facts that are none ---

NO_FACTS: list[dict[str, Any]] = [
    {"temperature": 10**9}, {"temperature": "hot"}, {"poll": 0}, {"poll": 10**9}, {"every": -1}, {"poll": True},
    {"kernel": "6.12\x1b[2J"}, {"kernel": "k" * 5000}, {"agent": ["x"]}, {"memory": {"used": 1}},
    {"memory": {"used": 1, "size": 0}}, {"disks": {"x" * 40: {"used": 1, "size": 2}}},
    {"links": {"eth0": {"addresses": ["fe80::1%\x1b[2J\n<b>/64"]}}},
    {"links": {"eth0": {"addresses": ["<script>"]}}}, {"links": {"a b": {"addresses": []}}}, {"links": []},
    {"links": {f"e{number}": {"addresses": []} for number in range(99)}}, {"synchronised": "yes"},
]  # fmt: skip


def test_a_fact_that_is_none_costs_neither_the_report_nor_the_others(here: Store, key: Ed25519PrivateKey) -> None:
    facts = good("report", "facts")["facts"]
    for counter, odd in enumerate(NO_FACTS):
        take(here, NAME, whole(key, facts=facts | odd, counter=counter)[0])
        report = here.boxes.report(NAME)
        assert report and report.facts == {name: value for name, value in facts.items() if name not in odd}, odd


def test_facts_of_another_shape_are_none(here: Store, key: Ed25519PrivateKey) -> None:
    for counter, nothing in enumerate([None, [], "x", 5, {}, {"unknown": 1}]):
        take(here, NAME, whole(key, facts=nothing, counter=counter)[0])
        assert here.boxes.report(NAME).facts is None, nothing  # type: ignore[union-attr]
    assert here.notes.get(BoxFacts, NAME) is None
