"""dbx: what a box says of its firmware, the server that takes it, and an operator who says that it is right."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient
from toweros_agent.firmware.efivars import GLOBAL, Variables
from toweros_agent.host.firmware import DATABASES, Firmware

from gitops.model import Health, canonical
from gitops.server.app import create_app
from gitops.settings import Settings
from tests.kit.console import toweros
from tests.kit.contracts import good
from tests.kit.published import Kit, kit

EMPTIED, OTHER = "the firmware's dbx was emptied", "the firmware's dbx is not what it was, and did not only grow"
MAKERS = [bytes([number]) * 32 for number in range(1, 200)]
"""What a board comes with."""


class Machine:
    """`demo-1`: its firmware, what its agent remembers of it, and the way to the server."""

    def __init__(self, folder: Path, here: Kit, web: TestClient) -> None:
        self.here, self.web, self.efivars, self.state = here, web, folder / "efivars", folder / "state"
        for made in (self.efivars, self.state):
            made.mkdir()
        for flag in ("SecureBoot", "SetupMode"):
            (self.efivars / f"{flag}-{GLOBAL}").write_bytes(struct.pack("<IB", 6, flag == "SecureBoot"))
        self.key, self.boot = Ed25519PrivateKey.generate(), 0
        here.store.boxes.enroll("demo-1", self.key.public_key().public_bytes_raw().hex())
        self.lists(*MAKERS)

    def lists(self, *hashes: bytes) -> None:
        head = struct.pack("<I16sIII", 0x27, b"t" * 16, 28 + 48 * len(hashes), 0, 48)
        variable = head + b"".join(bytes(16) + each for each in hashes)
        (self.efivars / f"dbx-{DATABASES}").write_bytes(variable if hashes else head[:4])

    def says(self, *, older: bool = False) -> list[str]:
        """What is wrong with the box, once it has reported (from a boot of its own)."""
        firmware: Any = Firmware(self.state, Variables(self.efivars), self.state).facts()
        if older:
            del firmware["grown"]
        self.boot += 1
        said = {"phase": "idle", "health": "Healthy", "sequence": 1, "boot_id": f"boot-{self.boot}"}
        text = canonical(good("report", "first-boot", **said, firmware=firmware))
        envelope = good("envelope", "idle", report=text.decode(), signature=self.key.sign(text).hex())
        answer = self.web.post("/api/v1/boxes/demo-1/report", content=canonical(envelope))
        assert answer.status_code == 204, answer.text
        report = self.here.store.boxes.report("demo-1")
        assert report and (report.health == Health.DEGRADED) == bool(report.degraded)
        return [words.partition(",")[0] if words.startswith(EMPTIED) else words for words in report.degraded]


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    here = kit(tmp_path / "fleet")
    monkeypatch.setenv("TOWEROS_STATE", str(here.store.paths.root))
    with TestClient(create_app(here.store, Settings(state=here.store.paths.root))) as web:
        yield Machine(tmp_path, here, web)


def test_what_a_maker_adds_degrades_no_box(box: Machine) -> None:
    assert box.says() == [], "what a board comes with"
    for count in range(1, 12):
        box.lists(*MAKERS, *(b"%032d" % number for number in range(count)))
        assert box.says() == [], f"{count} more"


def test_it_may_grow_while_the_server_is_away(box: Machine) -> None:
    assert box.says() == []
    for count in (1, 2):
        box.lists(*MAKERS, *(b"%032d" % number for number in range(count)))
        Firmware(box.state, Variables(box.efivars), box.state).facts()
    assert box.says() == []


def test_a_dbx_that_was_emptied_degrades_the_box_until_it_is_back(box: Machine) -> None:
    assert box.says() == []
    box.lists()
    assert box.says() == box.says() == [EMPTIED], "it does not get used to it"
    box.lists(*MAKERS)
    assert box.says() == []


def test_one_entry_less_is_noticed_though_others_came(box: Machine) -> None:
    assert box.says() == []
    box.lists(*MAKERS[1:], b"n" * 32, b"m" * 32)
    cure = "restore it in the firmware's setup, or `toweros box accept-dbx demo-1`"
    assert box.says() == [f"{OTHER}, so that it may start again what it refused: {cure}"]
    box.lists(*MAKERS[1:], b"n" * 32, b"m" * 32, b"o" * 32)
    assert box.says()[0].startswith(OTHER), "growing afterwards brings nothing back"


def test_an_operator_takes_what_a_maker_withdrew(box: Machine) -> None:
    assert box.says() == []
    box.lists(*MAKERS[10:])
    assert box.says()
    said = toweros("box", "accept-dbx", "demo-1")
    assert "is taken" in said.output
    assert box.says() == []
    box.lists(*MAKERS[11:])
    assert box.says()[0].startswith(OTHER), "that was one, and not the next"


def test_an_operator_cannot_take_what_no_box_said(box: Machine) -> None:
    said = toweros("box", "accept-dbx", "demo-1")
    assert str(said.exception) == "demo-1 did not say what its dbx is"


@pytest.mark.parametrize(
    "memory", [None, b"", b"\0" * 40, b"[]", b'{"format": 1, "listed": [5], "grown": []}', b"[" * 9999]
)
def test_a_box_that_forgot_what_was_there_vouches_for_nothing(box: Machine, memory: bytes | None) -> None:
    assert box.says() == []
    path = box.state / "dbx.json"
    path.unlink() if memory is None else path.write_bytes(memory)
    assert box.says() == [], "it is what it was"
    path.unlink() if memory is None else path.write_bytes(memory)
    box.lists(*MAKERS, b"n" * 32)
    assert box.says()[0].startswith(OTHER)


def test_a_disk_that_takes_nothing_loses_no_report(box: Machine) -> None:
    (box.state / "dbx.json.new").mkdir()
    assert box.says() == []
    box.lists(*MAKERS[1:])
    assert box.says()[0].startswith(OTHER)


def test_an_older_agent_that_vouches_for_nothing_is_believed_unless_it_was_emptied(box: Machine) -> None:
    assert box.says(older=True) == []
    box.lists(*MAKERS, b"n" * 32)
    assert box.says(older=True) == []
    box.lists()
    assert box.says(older=True) == [EMPTIED]


def test_a_board_without_dbx_may_get_one(box: Machine) -> None:
    box.lists()
    assert box.says() == []
    box.lists(*MAKERS)
    Firmware(box.state, Variables(box.efivars), box.state).facts()
    box.lists(*MAKERS[1:])
    assert box.says() == [], "nobody took the one that is less"
    box.lists()
    assert box.says() == [EMPTIED]
