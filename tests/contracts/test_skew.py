"""One format number apart, in both directions, as a whole: who is behind says so, keeps running, and goes on later.

The documents one by one: test_controller_side.py, tests/agent/test_contracts.py. Metadata and a database that are
newer: tests/agent/test_update.py, tests/store/test_migrations.py. A fleet repo that is: tests/source/test_upgrade.py.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient
from toweros_agent import report as agents_report
from toweros_agent import settings
from toweros_agent.settings import Places

from gitops.fleet.system_files import drop_in
from gitops.model import DROP_IN, Spec, Verdict, canonical
from gitops.model import Box as Declared
from gitops.model.keys import NOC_DROP_IN
from gitops.model.network.copies import COPIES_DROP_IN
from gitops.server import create_app
from gitops.settings import Settings
from gitops.sign import receipts
from gitops.store import Store
from tests.kit.contracts import CONTRACTS, load
from tests.simulators.box import Box, Made, State, drive, make
from tests.simulators.update_server import UpdateServer

# --- a controller, and the report of another version's agent ---


class Desk:
    """A server that knows `demo-1`, and the box's key."""

    def __init__(self, folder: Path) -> None:
        self.store, self.key = Store.open(folder), Ed25519PrivateKey.generate()
        self.store.boxes.enroll("demo-1", self.key.public_key().public_bytes_raw().hex())
        self.web = TestClient(create_app(self.store, Settings(state=folder)))

    def post(self, kind: str, vector: str, **other: Any) -> tuple[int, str]:
        text = canonical(load(CONTRACTS / "report" / kind / f"{vector}.json") | other)
        body = canonical({"report": text.decode(), "signature": self.key.sign(text).hex()})
        answer = self.web.post("/api/v1/boxes/demo-1/report", content=body)
        return answer.status_code, answer.text

    def box(self) -> dict[str, Any]:
        return dict(self.web.get("/api/v1/boxes/demo-1").json())

    def told(self) -> list[str]:
        return [event["message"] for event in self.box()["events"] if "not understood" in event["message"]]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_an_older_agents_report_counts_at_a_newer_controller(desk: Desk) -> None:
    assert desk.post("before", "format-0")[0] == 204
    seen = desk.box()
    assert seen["health"] == "Healthy" and seen["sequence"] and desk.told() == []


@pytest.mark.parametrize("vector", ["format-2", "format-2-of-another-shape"])
def test_a_newer_agents_report_is_refused_by_its_number_and_whoever_looks_is_told_once(desk: Desk, vector: str) -> None:
    assert desk.post("good", "idle", counter=1)[0] == 204
    before = desk.store.boxes.report("demo-1")
    for counter in (2, 3, 4):
        status, text = desk.post("ahead", vector, counter=counter)
        assert status == 422 and "format 2: this version reads 0 and 1" in text
    assert desk.told() == ["its report is not understood: the report has format 2: this version reads 0 and 1"]
    assert desk.store.boxes.report("demo-1") == before, "what was known stays"
    assert "not understood" in desk.web.get("/").text, "on the page, before the box is Missing"
    assert desk.post("good", "idle", counter=5)[0] == 204, "it went back, and is heard"


def test_a_stranger_makes_no_event_of_what_it_says(desk: Desk) -> None:
    desk.key = Ed25519PrivateKey.generate()
    assert desk.post("ahead", "format-2")[0] == 403 and desk.told() == []


# --- an agent, and what another version's controller says ---


@pytest.fixture
def server() -> Iterator[UpdateServer]:
    with UpdateServer("demo-1") as running:
        yield running


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    """Runs release 7, which the server offers as well."""
    (tmp_path / "box").mkdir()
    made = Box(tmp_path / "box", server.url, server.root)
    made.install(make(7))
    offer(server, make(7))
    return made


def offer(server: UpdateServer, made: Made, document: bytes = b"", **custom: Any) -> None:
    for root, data in made.blobs.items():
        server.add_layer(data, root)
    server.publish(document or made.document, made.uki, made.addon, custom=custom)


@pytest.mark.parametrize(("where", "said"), [("custom", "metadata format 2"), ("document", "release format 2")])
def test_a_newer_offer_is_told_by_its_number_and_the_next_that_is_understood_is_taken(
    box: Box, server: UpdateServer, where: str, said: str
) -> None:
    new = make(8, service=b"two")
    if where == "custom":
        offer(server, new, format=2)
    else:
        document = canonical(json.loads(new.document) | {"format": 2})
        offer(server, new, document, sequence=8, content="1" * 64)
    agent = box.power_on()
    assert agent
    for _ in range(8):
        agent.step()
        assert agent.state != State.REBOOTING
    report = box.report(server)
    assert f"{said}: this agent reads 1" in str(report["error"])
    assert (report["sequence"], box.bootable()) == (7, [7]), "it runs on"
    offer(server, make(9, service=b"three"))
    drive(agent, State.REBOOTING)
    assert box.bootable() == [7, 9]


def test_a_newer_receipt_proves_nothing_and_costs_nothing(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "RECEIPT_FORMAT", 2)
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    agent.step()
    assert "receipt format 2: this agent reads 1" in agent.reporter.send(agent.tell())
    agent.step()
    assert agent.state == State.IDLE and not box.rebooted, "a running box does not depend on it"
    offer(server, make(8, service=b"two"))
    drive(agent, State.REBOOTING)
    trial = box.power_on()
    assert trial and trial.boot.sequence == 8
    assert not trial.reached() and "receipt format 2" in trial.reached.why, "a trial that cannot know is not kept"


def test_what_a_newer_agent_went_back_from_the_older_one_does_not_try_again(box: Box, server: UpdateServer) -> None:
    """Or it would go there and back for ever: each trial ends with a memory that the older one cannot read."""
    new = make(8, service=b"two")
    offer(server, new)
    agent = box.power_on()
    assert agent
    drive(agent, State.REBOOTING)
    trial = box.power_on()
    assert trial and trial.boot.sequence == 8
    trial.step()
    trial.give_up(Verdict.FAILED, "health check web: status 500")
    memory = box.disk / "state" / "memory.json"
    newer = json.loads(memory.read_bytes())
    newer["failures"] = [each | {"weather": "rain"} for each in newer["failures"]]
    memory.write_text(json.dumps(newer | {"format": 2, "moods": ["good"]}))
    older = box.power_on()
    assert older and older.boot.sequence == 7
    drive(older, State.IDLE)
    for _ in range(3):
        older.step()
        assert older.state == State.IDLE
    assert "release 8 is held: health check web: status 500" in str(box.report(server)["error"])


def test_an_agent_says_which_number_it_reads() -> None:
    """The controller publishes nothing newer to it (tests/publish/test_publish.py)."""
    assert str(agents_report.FORMAT) == agents_report.VERSION


def test_an_agent_from_before_copies_leaves_out_the_file_that_names_them_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "KEYS", settings.KEYS - {"copies"})
    own = Declared("demo-1", "vm", Spec("kernel", "quiet"), poll=7, copies=("https://cdn.example",))
    for path in (DROP_IN, COPIES_DROP_IN):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(drop_in(own, path))
    found = settings.load(Places(etc=tmp_path / "etc/toweros"), "http://192.0.2.9")
    assert (found.poll, found.copies, found.problems) == (7, (), ("61-copies.toml: unknown key copies",))


def test_an_agent_from_before_a_key_leaves_out_the_file_of_that_key_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`noc:` came after the rest: a fleet repo whose agent is older keeps its `poll`, and is told what is left out."""
    monkeypatch.setattr(settings, "KEYS", settings.KEYS - {"noc"})
    own = Declared("demo-1", "vm", Spec("kernel", "quiet"), poll=7, noc="http://192.0.2.7:8080")
    for path, text in ((DROP_IN, drop_in(own)), (NOC_DROP_IN, drop_in(own, NOC_DROP_IN))):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    found = settings.load(Places(etc=tmp_path / "etc/toweros"), "http://192.0.2.9")
    assert (found.poll, found.server, found.noc) == (7, "http://192.0.2.9", "")
    assert found.problems == ("60-noc.toml: unknown key noc",)
