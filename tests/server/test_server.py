"""The update server: files by digest, reports that cannot be forged or replayed, and what people read."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from gitops.cli.main import application
from gitops.errors import SettingsError
from gitops.model import Hold, HoldReason, canonical, sha256
from gitops.publish.folder import Folder
from gitops.rollout.status import box_status
from gitops.server import create_app, serve
from gitops.server.boxes.reports import MAX_BODY
from gitops.settings import Settings
from gitops.sign.box import proves
from gitops.sign.enrolled import remember
from gitops.store.notes.box_keys import Enrolled
from gitops.store.notes.documents import Status
from tests.kit.contracts import good
from tests.kit.published import Kit, kit, shared_keys

EVIL = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def logging_starts_anew() -> Iterator[None]:
    """The command line binds the log to its stderr, which ends with a test's."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def here(tmp_path: Path) -> Kit:
    return kit(tmp_path / "fleet")


@pytest.fixture
def web(here: Kit) -> Iterator[TestClient]:
    with TestClient(create_app(here.store, Settings(state=here.store.paths.root))) as client:
        yield client


@pytest.fixture
def key(here: Kit) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    here.store.boxes.enroll("demo-1", key.public_key().public_bytes_raw().hex())
    return key


HERE = {"boot_id": "b", "counter": 1, "sequence": 1, "phase": "idle", "health": "Healthy", "entry": "toweros-1.efi"}
FAILURE = good("report", "went-back")["failures"][0]


def body(key: Ed25519PrivateKey, place: str = "", **said: Any) -> bytes:
    where = {"place": place} if place else {}
    text = canonical(good("report", "first-boot", **HERE | said) | where)
    return canonical(good("envelope", "idle", report=text.decode(), signature=key.sign(text).hex()))


def post(web: TestClient, data: bytes, box: str = "demo-1") -> int:
    answer = web.post(f"/api/v1/boxes/{box}/report", content=data)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
    return answer.status_code


# --- files ---


def test_a_layer_by_range_head_and_etag(here: Kit, web: TestClient) -> None:
    publication = here.publication("demo-1", 1, bytes(range(256)) * 64)
    here.publisher.publish([publication])
    layer = publication.release.layers()[-1]
    head = web.head(f"/layers/{layer.root}")
    assert head.status_code == 200 and head.content == b"" and int(head.headers["content-length"]) == layer.size
    part = web.get(f"/layers/{layer.root}", headers={"range": "bytes=256-511", "if-range": head.headers["etag"]})
    assert part.status_code == 206 and part.content == bytes(range(256))
    assert part.headers["content-range"] == f"bytes 256-511/{layer.size}"
    assert web.get(f"/layers/{layer.root}", headers={"range": f"bytes={layer.size}-"}).status_code == 416
    same = web.get(f"/layers/{layer.root}", headers={"if-none-match": head.headers["etag"]})
    assert same.status_code == 304 and same.content == b""
    assert web.head(f"/layers/{layer.root}.zst").headers["content-length"]
    assert web.head(f"/deltas/{'00' * 32}/{layer.root}.zst").status_code == 404


def test_the_timestamp_costs_a_conditional_get(here: Kit, web: TestClient) -> None:
    assert web.get("/metadata/timestamp.json").status_code == 404
    here.publisher.publish([here.publication("demo-1", 1)])
    etag = web.get("/metadata/timestamp.json").headers["etag"]
    assert web.get("/metadata/timestamp.json", headers={"if-none-match": etag}).status_code == 304
    here.publisher.publish([here.publication("demo-1", 2, b"two")])
    assert web.get("/metadata/timestamp.json", headers={"if-none-match": etag}).status_code == 200


HEX = "ab" * 32


@pytest.mark.parametrize(
    "path",
    [
        "/metadata/..%2f..%2ftoweros.db",
        "/metadata/%2e%2e/toweros.db",
        "/metadata//etc/passwd",
        "/metadata/1.root.json%00",
        "/metadata/.new-x",
        "/layers/..%2ftoweros.db",
        "/layers/deltas",
        f"/layers/{HEX.upper()}",
        f"/layers/{HEX}.new",
        f"/targets/demo-1/{HEX}.db",
        f"/targets/../{HEX}.uki.efi",
        f"/deltas/{HEX}/..%2f{HEX}.zst",
        "/toweros.db",
    ],
)
def test_names_that_are_no_names(here: Kit, web: TestClient, path: str) -> None:
    here.publisher.publish([])
    assert web.get(path).status_code == 404


# --- reports ---


def test_a_report_is_taken_once(here: Kit, web: TestClient, key: Ed25519PrivateKey) -> None:
    data = body(key)
    assert post(web, data) == 204
    assert post(web, data) == 409, "replayed"
    assert post(web, body(key, counter=2)) == 204
    assert post(web, body(key, counter=1, health="Degraded")) == 409, "older"
    assert post(web, body(key, boot_id="c")) == 204, "a new boot counts from the start"
    report = here.store.boxes.report("demo-1")
    assert report is not None and (report.boot_id, report.health) == ("c", "Healthy")


def test_forged_and_foreign_reports_are_refused(here: Kit, web: TestClient, key: Ed25519PrivateKey) -> None:
    other = Ed25519PrivateKey.generate()
    here.store.boxes.enroll("demo-2", other.public_key().public_bytes_raw().hex())
    assert post(web, body(other)) == 403, "signed by another box"
    assert post(web, body(other), "demo-2") == 403, "speaks of another box"
    assert post(web, body(key), "nobody") == 403
    altered = json.loads(body(key))
    altered["report"] = altered["report"].replace("Healthy", "Degraded")
    assert post(web, json.dumps(altered).encode()) == 403
    here.store.boxes.revoke("demo-1")
    assert post(web, body(key)) == 403
    assert here.store.boxes.report("demo-1") is None and here.store.boxes.report("demo-2") is None


def test_bodies_that_are_no_reports(web: TestClient, key: Ed25519PrivateKey) -> None:
    assert post(web, b"x" * (MAX_BODY + 1)) == 413
    assert post(web, b"[]") == 400
    assert post(web, b"\xff\xfe") == 400
    assert post(web, body(key, format=7)) == 422
    assert post(web, body(key, counter=-1)) == 422
    assert post(web, body(key, error="x" * 5000)) == 422
    assert post(web, body(key, release="../../etc/passwd")) == 422
    assert post(web, body(key, counter=1 << 60)) == 422


def test_events_tell_what_changed(here: Kit, web: TestClient, key: Ed25519PrivateKey) -> None:
    failure = FAILURE | {"sequence": 2, "release": "ef" * 32, "reason": "hello: 500", "time": 5, "log": "x"}
    assert post(web, body(key)) == 204
    assert post(web, body(key, counter=2, failures=[failure], error="metadata: older")) == 204
    assert post(web, body(key, counter=3, failures=[failure], error="metadata: older")) == 204
    told = [(event.reason, event.message) for event in here.store.events.latest("demo-1")]
    assert told == [
        ("Refused", "metadata: older"),
        ("FellBack", "release 2: failed: hello: 500"),
        ("Healthy", "release 1"),
        ("Runs", "release 1"),
    ]


# --- what people read ---


def test_every_report_is_answered_with_a_receipt_by_the_key_that_the_metadata_name(
    here: Kit, web: TestClient, key: Ed25519PrivateKey
) -> None:
    first = body(key)
    assert "toweros-receipt" not in web.post("/api/v1/boxes/demo-1/report", content=first).headers
    here.publisher.publish([here.publication("demo-1", 2)])
    named = here.signer.targets(Folder(here.store.paths.metadata).read)["demo-1/release.json"].custom["receipts"]
    forged = json.dumps(json.loads(body(key, counter=3)) | {"signature": "0" * 128}).encode()
    odd = [(body(key, counter=2), 204, True), (first, 409, True), (forged, 403, False)]
    for data, status, taken in odd:
        answer = web.post("/api/v1/boxes/demo-1/report", content=data)
        signature, _, text = answer.headers["toweros-receipt"].partition(" ")
        assert answer.status_code == status and proves(named, text.encode(), signature)
        receipt, said = json.loads(text), json.loads(data)["report"]
        assert (receipt["box"], receipt["taken"]) == ("demo-1", taken)
        assert receipt["report"] == sha256(said.encode()) and abs(receipt["time"] - time.time()) < 60
    assert "toweros-receipt" not in web.post("/api/v1/boxes/demo-1/report", content=b"{}").headers
    assert "toweros-receipt" not in web.post("/api/v1/boxes/De%0amo/report", content=first).headers
    assert here.publisher.refresh() == [], "the key stays"


def test_what_a_box_went_back_from_is_over_once_it_runs_what_it_shall_and_is_well(
    here: Kit, web: TestClient, key: Ed25519PrivateKey
) -> None:
    publication = here.publication("demo-1", 3)
    here.store.offers.save_published(publication, "ab" * 32)
    failure, told = FAILURE | {"sequence": 2, "reason": "hello: 500"}, []
    wanted = publication.release.content.digest
    states = [("Healthy", "cd" * 32), ("Degraded", wanted), ("Healthy", wanted)]
    for counter, (health, content) in enumerate(states, 1):
        said = {"counter": counter, "health": health, "content": content, "failures": [failure]}
        assert post(web, body(key, **said)) == 204
        status = box_status(here.store, "demo-1", 0)
        assert status
        told.append(status.fell_back)
    assert told == ["release 2: failed: hello: 500"] * 2 + [""]


def test_a_reset_by_the_watchdog_is_an_event_once(here: Kit, web: TestClient, key: Ed25519PrivateKey) -> None:
    (reset,) = good("report", "went-back")["resets"]
    for counter in (1, 2):
        assert post(web, body(key, counter=counter, resets=[reset])) == 204
    said = [event.message for event in here.store.events.latest("demo-1") if event.reason == "Reset"]
    assert said == [f"the watchdog reset release 9; it was doing: {reset['doing']}"]
    assert here.store.boxes.report("demo-1").resets[0].time == reset["time"]  # type: ignore[union-attr]


def test_secure_boot_that_is_off_degrades_a_box_that_says_it_is_healthy(
    here: Kit, web: TestClient, key: Ed25519PrivateKey
) -> None:
    remember(here.store, shared_keys())
    known = here.store.notes.get(Enrolled)
    assert known
    told = []
    for counter, secure in enumerate((True, False, True), 1):
        firmware = {"secure_boot": secure, "setup_mode": False, "keys": {**known.rows, "dbx": "4" * 64}}
        assert post(web, body(key, counter=counter, health="Healthy", degraded=[], firmware=firmware)) == 204
        status = box_status(here.store, "demo-1", int(time.time()))
        assert status
        told.append((str(status.health), here.store.events.latest("demo-1")[0].message))
    assert told[1] == ("Degraded", "Secure Boot is off")
    assert [health for health, _ in told] == ["Healthy", "Degraded", "Healthy"]
    assert post(web, body(key, counter=4, health="Healthy", firmware=None)) == 204, "a machine without UEFI variables"


def test_the_page_escapes_what_boxes_say(here: Kit, web: TestClient, key: Ed25519PrivateKey) -> None:
    failure = FAILURE | {"reason": EVIL, "log": EVIL}
    assert post(web, body(key, phase=EVIL)) == 422
    assert post(web, body(key, error=EVIL, failures=[failure], degraded=[EVIL], entry=EVIL)) == 204
    here.store.notes.put(Status("main@sha1:" + "a" * 40, error=EVIL, hint=EVIL, polled=5))
    page = web.get("/")
    one = web.get("/boxes/demo-1")
    for shown, times in ((page, 4), (one, 5), (web.get("/activity"), 3)):
        assert "<script>" not in shown.text and shown.text.count("&lt;script&gt;") >= times
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "demo-1" in page.text and "main@aaaaaaaaaaaa" in page.text


def test_api_metrics_and_probes(here: Kit, web: TestClient, key: Ed25519PrivateKey) -> None:
    assert web.get("/healthz").text == "ok\n"
    assert web.get("/readyz").status_code == 503
    publication = here.publication("demo-1", 1)
    here.publisher.publish([publication])
    here.store.offers.save_published(publication, "ab" * 32)
    assert post(web, body(key, release=publication.document.sha256, content=publication.release.content.digest)) == 204
    assert web.get("/readyz").status_code == 200
    (box,) = web.get("/api/v1/boxes").json()["boxes"]
    assert (box["sync"], box["health"], box["running"]) == ("Synced", "Healthy", str(publication.revision))
    one = web.get("/api/v1/boxes/demo-1").json()
    assert one["entry"] == "toweros-1.efi" and one["events"][0]["reason"] == "Healthy"
    missing = web.get("/api/v1/boxes/none")
    assert missing.status_code == 404 and missing.json()["detail"] == "there is no box none"
    assert re.search(r'toweros_boxes\{health="Healthy",sync="Synced"\} 1\.0', web.get("/metrics").text)


def test_the_json_of_the_controller(here: Kit, web: TestClient) -> None:
    """Monitors read it, too; what belongs to a failure is there while it lasts."""

    def shown() -> object:
        return web.get("/api/v1/boxes").json()["controller"]

    assert shown() == {}, "no pass yet"
    good = {"revision": "main@sha1:c", "signers": ["ada"], "polled": 5, "alarms": [], "error": ""}
    here.store.notes.put(Status("main@sha1:c", ("ada",), polled=5))
    assert shown() == good
    here.store.notes.put(Status("main@sha1:c", ("ada",), (), 6, "no", "sign it", "Unsigned", 6))
    assert shown() == good | {"polled": 6, "error": "no", "hint": "sign it", "reason": "Unsigned", "since": 6}


def test_the_json_of_a_box(here: Kit, web: TestClient, key: Ed25519PrivateKey) -> None:
    """Monitors read it: no member changes its name or its meaning."""
    publication = here.publication("demo-1", 1)
    here.store.offers.save_published(publication, "ab" * 32)
    here.store.holds.save({"demo-1": Hold(HoldReason.SUSPENDED, "ada: disk")})
    failure = {"sequence": 2, "release": "ef" * 32, "verdict": "failed", "reason": "hello: 500", "time": 5, "log": "x"}
    assert post(web, body(key, sequence=3, failures=[failure], error="no", checks=[{"name": "hello"}])) == 204
    seen = web.get("/api/v1/boxes").json()["boxes"][0]
    assert seen.pop("since") == seen.pop("seen") > 0
    assert seen == {
        "box": "demo-1", "sync": "OutOfSync", "health": "Suspended", "wanted": str(publication.revision),
        "running": "release 3", "sequence": 3, "phase": "idle", "error": "no", "held": "held: ada: disk",
        "fell_back": "release 2: failed: hello: 500", "fell_back_log": "x", "revoked": False,
    }  # fmt: skip
    one = web.get("/api/v1/boxes/demo-1").json()
    assert {name: one[name] for name in seen} == seen and one["checks"] == [{"name": "hello"}]
    here.store.boxes.enroll("demo-2", "ab" * 32)
    here.store.boxes.revoke("demo-2")
    assert len(web.get("/api/v1/boxes").json()["boxes"]) == 1, "its key is revoked, and nothing is offered to it"
    wanted = here.publication("demo-2", 1)
    here.store.offers.save_published(wanted, "cd" * 32)
    assert web.get("/api/v1/boxes").json()["boxes"][1] == {
        "box": "demo-2", "sync": "Unknown", "health": "Unknown", "wanted": str(wanted.revision), "running": "",
        "sequence": 0, "phase": "", "since": 0, "seen": 0, "error": "", "held": "", "fell_back": "",
        "fell_back_log": "", "revoked": True,
    }  # fmt: skip


def test_a_box_whose_firmware_checks_nothing_says_so_wherever_it_is_shown(
    here: Kit, web: TestClient, key: Ed25519PrivateKey
) -> None:
    def shown() -> list[object]:
        page = "not verified by firmware" in web.get("/").text
        table = (
            CliRunner()
            .invoke(application(), ["status", "--state", str(here.store.paths.root)], env={"COLUMNS": "200"})
            .output
        )
        row = web.get("/api/v1/boxes/demo-1").json()
        return [page, "boot not verified" in " ".join(table.replace("│", " ").split()), row.get("boot")]

    assert post(web, body(key, counter=2, firmware=None)) == 204
    assert shown() == [True, True, "not verified by firmware"]
    one = CliRunner().invoke(application(), ["status", "demo-1", "--state", str(here.store.paths.root)]).output
    assert "not verified by firmware" in " ".join(one.split())
    firmware = {"secure_boot": True, "setup_mode": False, "keys": {}}
    assert post(web, body(key, counter=3, firmware=firmware)) == 204
    assert shown() == [False, False, None]


def test_a_box_that_runs_from_a_medium_says_so_wherever_it_is_shown(
    here: Kit, web: TestClient, key: Ed25519PrivateKey
) -> None:
    """What an older agent leaves out, and what a newer one may say, is no medium."""

    def shown() -> list[object]:
        table = (
            CliRunner()
            .invoke(application(), ["status", "demo-1", "--state", str(here.store.paths.root)], env={"COLUMNS": "200"})
            .output
        )
        row = web.get("/api/v1/boxes/demo-1").json()
        return ["from a medium" in web.get("/").text, "from a medium" in " ".join(table.split()), row.get("boot")]

    firmware = {"secure_boot": True, "setup_mode": False, "keys": {}}
    words = "from a medium, which takes no newer release (docs/media.md)"
    for counter, (place, expected) in enumerate((("medium", words), ("", None), ("elsewhere", None)), 2):
        assert post(web, body(key, counter=counter, firmware=firmware, place=place)) == 204
        assert shown() == [bool(expected), bool(expected), expected]
    assert post(web, body(key, counter=5, firmware=None, place="medium")) == 204
    assert shown()[2] == f"{words}; not verified by firmware"


@pytest.mark.parametrize(
    ("said", "came", "words"),
    [
        (["bundle"], ["bundle"], "came by a bundle"),
        (["noc", "server"], ["noc"], "came by its site's server"),
        (["bundle", "noc"], ["bundle", "noc"], "came by a bundle and its site's server"),
        (["server"], None, ""),
        (None, None, ""),  # an older agent
        ("bundle", None, ""),
        (["[red]x", {"bundle": 1}, 7], None, ""),
    ],
)
def test_who_brought_an_update_is_said_in_status_and_api(
    said: object, came: list[str] | None, words: str, here: Kit, web: TestClient, key: Ed25519PrivateKey
) -> None:
    fetched = {"repaired": 0} | ({} if said is None else {"from": said})
    assert post(web, body(key, fetched=fetched)) == 204
    assert web.get("/api/v1/boxes/demo-1").json().get("came") == came
    assert web.get("/api/v1/boxes").json()["boxes"][0].get("came") == came
    run, state = CliRunner(), ["--state", str(here.store.paths.root)]
    for command in (["status"], ["status", "demo-1"]):
        table = run.invoke(application(), [*command, *state], env={"COLUMNS": "250"})
        assert table.exit_code == 0 and ("its last update" in table.stdout) == bool(words) and words in table.stdout


def test_status_in_the_terminal(here: Kit, web: TestClient, key: Ed25519PrivateKey) -> None:
    assert post(web, body(key, error="bad\x1b[31m [red]x")) == 204
    run, state = CliRunner(), ["--state", str(here.store.paths.root)]
    table = run.invoke(application(), ["status", *state], env={"COLUMNS": "200"})
    assert table.exit_code == 0 and "demo-1" in table.stdout and "bad?[31m [red]x" in table.stdout
    rows = json.loads(run.invoke(application(), ["status", "demo-1", "-o", "json", *state]).stdout)
    assert rows["health"] == "Healthy"
    assert run.invoke(application(), ["status", "none", *state]).exit_code == 1
    events = json.loads(run.invoke(application(), ["events", "-o", "json", *state]).stdout)
    assert [event["reason"] for event in events] == ["Runs", "Healthy", "Refused"]


def test_enroll_and_revoke(here: Kit) -> None:
    run, state = CliRunner(), ["--state", str(here.store.paths.root)]
    assert run.invoke(application(), ["box", "enroll", "demo-9", "--key", "ab" * 31, *state]).exit_code == 1
    assert run.invoke(application(), ["box", "enroll", "demo-9", "--key", "ab" * 32, *state]).exit_code == 0
    assert run.invoke(application(), ["box", "revoke", "demo-9", "--yes", *state]).exit_code == 0
    row = here.store.boxes.row("demo-9")
    assert row is not None and row.public_key == "ab" * 32 and row.revoked


def test_an_address_in_use_is_an_error_with_a_hint(here: Kit) -> None:
    app = create_app(here.store, Settings(state=here.store.paths.root))
    with serve(app, "127.0.0.1:0") as url:
        with pytest.raises(SettingsError, match="cannot listen"), serve(app, url.removeprefix("http://")):
            pass


def test_an_attestation_is_served_by_what_it_is_about_and_may_be_signed_again(here: Kit, web: TestClient) -> None:
    subject = "ab" * 32
    assert web.get(f"/attestations/{subject}.json").status_code == 404
    here.store.attestations.write(subject, b"{}")
    found = web.get(f"/attestations/{subject}.json")
    assert (found.status_code, found.content, found.headers["cache-control"]) == (200, b"{}", "no-cache")
    seen = {"if-none-match": found.headers["etag"]}
    assert web.get(f"/attestations/{subject}.json", headers=seen).status_code == 304
    here.store.attestations.write(subject, b"[]")
    assert web.get(f"/attestations/{subject}.json", headers=seen).content == b"[]"
    for name in ("x.json", f"{subject}", f"../metadata/{subject}.json", f"{subject}.json.json"):
        assert web.get(f"/attestations/{name}").status_code == 404
