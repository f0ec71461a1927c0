"""What is kept beside a box's reports is damaged: that box is heard all the same, and everybody is shown."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient

from gitops.model import canonical
from gitops.model.rollout.turns import BoxTurn
from gitops.rollout.status import fleet_status
from gitops.server import create_app
from gitops.settings import Settings
from gitops.store.notes.box_keys import BootChecked, BoxDisk, HostCertificate, TakenDbx
from gitops.store.notes.newcomers import Lives
from tests.kit.contracts import good
from tests.kit.published import Kit, kit

BOX = "demo-1"
SSH = f"ssh-ed25519 {'A' * 68}"
ROOM = {"toweros": 1 << 30, "esp": 1 << 28}


@pytest.fixture
def here(tmp_path: Path) -> Kit:
    return kit(tmp_path / "fleet")


def damage(here: Kit, name: str) -> None:
    with here.store._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM values_ WHERE name = ?", (name,))
        connection.exec_driver_sql("INSERT INTO values_ (name, document) VALUES (?, '{')", (name,))


@pytest.mark.parametrize("kind", ["lives", "boot", "disk", "ssh", "dbx", "turn"])
def test_a_box_whose_note_is_damaged_is_heard_and_it_is_written_again(here: Kit, kind: str) -> None:
    key = Ed25519PrivateKey.generate()
    here.store.boxes.enroll(BOX, key.public_key().public_bytes_raw().hex())
    web = TestClient(create_app(here.store, Settings(state=here.store.paths.root)))
    report(web, key, 1)
    damage(here, f"{kind}/{BOX}")
    assert web.get("/").status_code == 200 and len(fleet_status(here.store, 1).boxes) == 1
    report(web, key, 2)
    for each in (Lives, BootChecked, BoxDisk, BoxTurn, HostCertificate, TakenDbx):
        here.store.notes.get(each, BOX)


def report(web: TestClient, key: Ed25519PrivateKey, counter: int) -> None:
    said = {"boot_id": "b", "counter": counter, "sequence": 1, "phase": "idle", "ssh": SSH, "room": ROOM}
    text = canonical(good("report", "first-boot", **said))
    body = canonical(good("envelope", "idle", report=text.decode(), signature=key.sign(text).hex()))
    assert web.post(f"/api/v1/boxes/{BOX}/report", content=body).status_code == 204
