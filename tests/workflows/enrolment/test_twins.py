"""A disk that was copied: two machines with one key, noticed while both live, and not where one starts again."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gitops.model import SILENT, Health, canonical
from gitops.server.boxes import reports
from gitops.store import Store
from tests.kit.contracts import good
from tests.kit.databases import both

NAME = "demo-1"


class Copies:
    """Machines that have the key of one box, at a server whose clock we set."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store, self.key, self.now = store, Ed25519PrivateKey.generate(), 1_790_000_000
        store.boxes.enroll(NAME, self.key.public_key().public_bytes_raw().hex())
        self._counters: dict[str, int] = {}
        monkeypatch.setattr(reports.time, "time", lambda: self.now)

    def body(self, boot: str, counter: int | None = None) -> bytes:
        self._counters[boot] = counter or self._counters.get(boot, 0) + 1000
        members = {"boot_id": boot, "counter": self._counters[boot], "time": self.now}
        text = canonical(good("report", "idle") | members)
        return json.dumps({"report": text.decode(), "signature": self.key.sign(text).hex()}).encode()

    def send(self, boot: str, address: str = "192.0.2.7", body: bytes = b"", later: int = 600) -> int:
        self.now += later
        try:
            reports.take(self.store, NAME, body or self.body(boot), address)
        except reports.HTTPException as error:
            return int(error.status_code)
        return 204

    @property
    def health(self) -> Health:
        state = self.store.states.one(NAME)
        assert state
        return state.health(self.now)

    @property
    def alarms(self) -> list[str]:
        return [each.message for each in self.store.events.latest(NAME, 100) if each.reason == "Cloned"]


@pytest.fixture
def copies(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Copies:
    return Copies(Store.open(tmp_path, database), monkeypatch)


@both
def test_two_machines_with_one_key_are_told_with_both_addresses_and_are_not_healthy(copies: Copies) -> None:
    copies.send("aaaa")
    copies.send("bbbb", "198.51.100.9")
    assert copies.health == Health.HEALTHY, "it may have started again"
    copies.send("aaaa")
    copies.send("bbbb", "198.51.100.9")
    copies.send("aaaa")
    for _ in range(3):
        assert copies.health == Health.DEGRADED
        copies.send("bbbb", "198.51.100.9")
        assert copies.health == Health.DEGRADED
        copies.send("aaaa")
    (alarm,) = copies.alarms
    assert "boot aaaa at 192.0.2.7" in alarm and "boot bbbb at 198.51.100.9" in alarm
    report = copies.store.boxes.report(NAME)
    assert report and "two machines report with its key" in report.degraded[-1]


def test_it_is_over_when_one_of_them_is_gone(copies: Copies) -> None:
    for boot in ("aaaa", "bbbb", "aaaa", "bbbb", "aaaa"):
        copies.send(boot)
    assert copies.health == Health.DEGRADED
    for _ in range(SILENT // 600 + 1):
        copies.send("aaaa")
    assert copies.health == Health.HEALTHY


def test_a_box_that_starts_again_and_again_is_one_box(copies: Copies) -> None:
    for number in range(40):
        copies.send(f"boot-{number}")
        copies.send(f"boot-{number}", f"192.0.2.{number}")
        assert copies.health == Health.HEALTHY
    assert copies.alarms == []


def test_a_report_that_was_long_on_its_way_is_no_twin(copies: Copies) -> None:
    copies.send("aaaa")
    late = copies.body("aaaa")
    copies.send("bbbb")
    copies.send("", body=late)
    for _ in range(5):
        copies.send("bbbb")
        assert copies.health == Health.HEALTHY
    assert copies.alarms == []


def test_what_was_recorded_and_is_sent_again_makes_no_twin(copies: Copies) -> None:
    recorded = [copies.body("aaaa") for _ in range(5)]
    for each in recorded:
        copies.send("", body=each)
    copies.send("bbbb")
    for boot in ("aaaa", "bbbb"):  # of a boot that ended, and of the one that runs
        for each in recorded if boot == "aaaa" else [copies.body("bbbb") for _ in range(3)]:
            copies.send("bbbb", body=copies.body("bbbb"))
            assert copies.send("", body=each) == 409
        copies.send("bbbb")
    assert copies.alarms == [] and copies.health == Health.HEALTHY


def test_a_machine_that_was_copied_while_it_ran_has_two_counters(copies: Copies) -> None:
    copies.send("aaaa", body=copies.body("aaaa", 100_000))
    for number in range(1, 4):
        assert copies.send("aaaa", "198.51.100.9", copies.body("aaaa", 50_000 + number), later=300) == 409
        copies.send("aaaa", body=copies.body("aaaa", 100_000 + 1000 * number), later=300)
    assert copies.health == Health.DEGRADED and len(copies.alarms) == 1


def test_three_copies_are_noticed_as_well(copies: Copies) -> None:
    for boot in ("aaaa", "bbbb", "cccc") * 3:
        copies.send(boot, later=200)
    assert copies.health == Health.DEGRADED and len(copies.alarms) == 1
