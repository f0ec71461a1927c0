"""The agent reads what the contracts say that it must, refuses the rest by name, and writes what they say."""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from toweros_agent.health.checks import Result
from toweros_agent.host.boot import Boot, restarts_by
from toweros_agent.joining.naming import Naming
from toweros_agent.machine import State
from toweros_agent.nouns import Failure, Offer, Permission, Refused, Release, Target, Verdict
from toweros_agent.offer.net import Http
from toweros_agent.offer.provenance import WRONG, Builders, about
from toweros_agent.outgoing.identity import Identity
from toweros_agent.outgoing.receipt import Receipt
from toweros_agent.outgoing.rows import CheckRow, FailureRow, Health, ResetRow
from toweros_agent.remote.order import Order
from toweros_agent.remote.remote import said
from toweros_agent.report import Report, Reporter
from toweros_agent.settings import Places, load

from gitops.fleet.system_files import drop_in
from gitops.model import Box, Spec
from tests.kit import contracts
from tests.kit.contracts import good, problems, vectors

TARGETS = {name: Target(f"demo-1/{name}", "0" * 64, 1) for name in ("release.json", "uki.efi", "addon.efi")}


def read_custom(data: bytes) -> Offer:
    return Offer.parse(json.loads(data), TARGETS, 1_800_000_000)


READERS: dict[str, tuple[str, Callable[[bytes], Release | Offer | Boot]]] = {
    "release": ("release", Release.parse),
    "custom": ("metadata", read_custom),
    "boot": ("boot.json", Boot.parse),
}


@pytest.mark.parametrize("name", READERS)
def test_what_is_good_or_of_the_version_before_is_read(name: str) -> None:
    for parameters in vectors(name, "good", "before"):
        (vector,) = parameters.values
        assert READERS[name][1](vector.read_bytes()).sequence in (7, 8), vector


@pytest.mark.parametrize("name", READERS)
def test_one_version_ahead_is_refused_by_its_number_and_a_new_member_is_not(name: str) -> None:
    word, read = READERS[name]
    for parameters in vectors(name, "ahead"):
        (vector,) = parameters.values
        if vector.stem.startswith("format-2"):
            with pytest.raises(Refused, match=f"{word} format 2: this agent reads 1"):
                read(vector.read_bytes())
        else:
            assert read(vector.read_bytes()).sequence == 7, vector


@pytest.mark.parametrize("name", READERS)
def test_what_is_damaged_is_refused_by_name(name: str) -> None:
    word, read = READERS[name]
    for parameters in vectors(name, "damaged"):
        (vector,) = parameters.values
        if vector.stem.startswith(("site-", "labels-", "netboot-")):  # no box reads that: it is for a site's own server
            read(vector.read_bytes())
            continue
        with pytest.raises(Refused, match=word):
            read(vector.read_bytes())
            pytest.fail(f"{vector} was read")


def test_every_value_of_a_document_arrives() -> None:
    release = Release.parse((contracts.CONTRACTS / "release" / "good" / "full.json").read_bytes())
    boot = Boot.parse((contracts.CONTRACTS / "boot" / "good" / "trial.json").read_bytes())
    offer = read_custom((contracts.CONTRACTS / "custom" / "good" / "held.json").read_bytes())
    assert (boot.box, boot.trial, boot.server) == ("demo-1", True, "http://10.0.2.2:8080")
    assert boot.repaired == ("1" * 64, "2" * 64)
    assert (release.sequence, release.digest) == (boot.sequence, boot.release)
    assert (release.sequence, release.content) == (offer.sequence, offer.content)
    assert (offer.held, offer.time, offer.expires) == ("ada: storm", 1_760_000_000, 1_800_000_000)
    assert {place: [layer.root[0] for layer in layers] for place, layers in release.slots.items()} == {
        "": ["1", "2"],
        "onboot/000-sysctl": ["1"],
        "services/sshd": ["1", "3"],
        "images": ["4", "5"],
    }
    assert release.probation == 120
    (hello, ntp, _) = release.checks
    assert (hello.type, hello.status, hello.contains, hello.timeout) == ("http", 204, "grüß dich", 5)
    assert (ntp.type, ntp.target) == ("service", "ntpd")


def test_the_key_of_receipts_arrives_and_a_damaged_one_is_refused() -> None:
    data = (contracts.CONTRACTS / "custom" / "good" / "receipts.json").read_bytes()
    assert read_custom(data).receipts == "9" * 64
    with pytest.raises(Refused, match="metadata"):
        read_custom(data.replace(b"9" * 64, b"9" * 63))


def test_a_permission_and_what_comes_next_arrive() -> None:
    given, stopped = (read_custom((contracts.CONTRACTS / "custom" / "good" / f"{name}.json").read_bytes()).apply
                      for name in ("apply", "stopped"))  # fmt: skip
    assert given == Permission(4, 1_795_000_000, "", ((60, 240), (1500, 240)), (("2026-12-20", "2027-01-03"),),
                               "CET-1CEST,M3.5.0,M10.5.0/3", 7200)  # fmt: skip
    assert stopped and (stopped.stopped, stopped.zone) == ("frozen: ada: storm", "UTC0")
    coming = read_custom((contracts.CONTRACTS / "custom" / "good" / "next.json").read_bytes()).next
    assert coming and (coming.sequence, coming.spread, coming.release.path) == (9, 600, "demo-1/release.json")
    assert (coming.uki.sha256, coming.addon.length) == ("2" * 64, 3500)


@pytest.mark.parametrize("vector", vectors("naming", "good", "before", "ahead", "damaged"))
def test_a_naming_is_read_across_versions_and_refused_by_name(vector: Path) -> None:
    key = good("naming", "one")["key"]
    try:
        custom = json.loads(vector.read_bytes())
    except ValueError:
        custom = None
    if vector.parent.name == "damaged" or vector.stem.startswith("format-2"):
        with pytest.raises(Refused, match="naming"):
            Naming.parse(custom, key)
    else:
        assert Naming.parse(custom, key).box == custom["box"]


@pytest.mark.parametrize("vector", vectors("receipt", "good", "before", "ahead", "damaged"))
def test_a_receipt_is_read_across_versions_and_refused_by_name(vector: Path) -> None:
    if vector.parent.name == "damaged" or vector.stem.startswith("format-2"):
        with pytest.raises(Refused, match="receipt"):
            Receipt.parse(vector.read_bytes())
        return
    receipt = Receipt.parse(vector.read_bytes())
    assert receipt == Receipt("demo-1", "8" * 64, vector.stem != "refused", 1_760_000_000)


# --- provenance ---


def read_builders(data: bytes) -> Builders:
    return Builders.parse(data)


def parsed_builders(vector: str) -> Builders:
    return read_builders((contracts.CONTRACTS / "builder" / "good" / f"{vector}.json").read_bytes())


@pytest.mark.parametrize("vector", vectors("builder", "good", "before"))
def test_builders_are_read_across_versions(vector: Path) -> None:
    assert read_builders(vector.read_bytes()).fleet == "3f0c1c52-6a0e-4a43-9d3b-7f1f3f6f2a11"


@pytest.mark.parametrize("vector", vectors("builder", "ahead", "damaged"))
def test_builders_that_are_not_understood_are_refused_by_name(vector: Path) -> None:
    if "new-member" in vector.stem:
        assert read_builders(vector.read_bytes()).keys
        return
    with pytest.raises(Refused, match=r"builder.json (format 2: this agent reads 1|names no builders)"):
        read_builders(vector.read_bytes())


@pytest.mark.parametrize("vector", vectors("attestation", "good", "before", "ahead"))
def test_an_attestation_is_opened_across_versions(vector: Path) -> None:
    statement = parsed_builders("one").statement(vector.read_bytes())
    fleet, kind, layer = "3f0c1c52-6a0e-4a43-9d3b-7f1f3f6f2a11", "urn:toweros:build:layer:1", "1" * 64
    about(statement, fleet, kind, {layer: layer})
    with pytest.raises(Refused, match="is about another layer"):
        about(statement, fleet, kind, {layer: "2" * 64})


@pytest.mark.parametrize("vector", vectors("attestation", "damaged"))
def test_an_attestation_that_is_damaged_is_refused(vector: Path) -> None:
    with pytest.raises((Refused, *WRONG)):
        parsed_builders("one").statement(vector.read_bytes())


# --- drop-ins ---


@pytest.fixture
def places(tmp_path: Path) -> Places:
    for folder in ("run", "etc", "lib"):
        (tmp_path / folder / "agent.d").mkdir(parents=True)
    return Places(run=tmp_path / "run", etc=tmp_path / "etc", lib=tmp_path / "lib")


def put(folder: Path, *vectors: Path) -> None:
    for vector in vectors:
        (folder / "agent.d" / vector.name).write_bytes(vector.read_bytes())


def test_good_drop_ins_count_and_so_do_those_of_the_version_before(places: Places) -> None:
    for parameters in vectors("agent", "good", "before"):
        put(places.etc, *parameters.values)
    settings = load(places, "http://192.0.2.9")
    assert settings.problems == ()
    assert (settings.server, settings.poll, settings.mirrors) == ("http://192.0.2.1:8080", 2.5, ())


@pytest.mark.parametrize("vector", vectors("agent", "ahead", "damaged"))
def test_a_drop_in_that_is_not_understood_is_left_out_and_named(places: Places, vector: Path) -> None:
    put(places.etc, vector)
    settings = load(places, "http://192.0.2.9")
    assert (settings.server, settings.poll, settings.mirrors) == ("http://192.0.2.9", 30, ())
    (problem,) = settings.problems
    assert problem.startswith(f"{vector.name}: ")


def test_the_controllers_drop_in_counts(places: Places) -> None:
    (places.etc / "agent.d" / "50-box.toml").write_text(drop_in(Box("demo-1", "vm", Spec("kernel", "quiet"), poll=7)))
    settings = load(places, "http://192.0.2.9")
    assert (settings.poll, settings.problems) == (7, ())


# --- the report ---

CHANGES_BY_ITSELF = ("boot_id", "counter", "time")
FAILED = "health check hello: status 500"
LOG = f"starting --begin_trial--> probation\nfailed: {FAILED}"
KEYS = {"PK": "1" * 64, "KEK": "2" * 64, "db": "3" * 64, "dbx": "6" * 64}
LOST = "its tries are used up: it panicked, hung or lost power"


def parsed(vector: str) -> Release:
    return Release.parse((contracts.CONTRACTS / "release" / "good" / f"{vector}.json").read_bytes())


def idle() -> Report:
    running = parsed("minimal")
    return Report(
        sequence=running.sequence,
        release=running.digest,
        content=running.content,
        phase=State.IDLE,
        health=Health.HEALTHY,
        error="",
        staged=0,
        rollback=6,
        entry="toweros-7.efi",
        degraded=(),
        checks=(CheckRow.of(Result("hello", True)),),
        fetched={"bytes": 16400, "layers": ["1" * 64], "deltas": 1, "repaired": 0, "seconds": 2},
        failures=(),
        firmware={"secure_boot": True, "setup_mode": False, "keys": KEYS, "grown": ["", "5" * 64]},
        room={"toweros": 2044723200, "esp": 267382784, "back": "7" * 64},
        trusted={"timestamp": 12, "snapshot": 9, "sha256": "4" * 64},
        ssh=good("report", "idle")["ssh"],
    )


def first_boot() -> Report:
    odd = {"phase": State.STARTING, "health": Health.PROGRESSING, "checks": (), "fetched": {"repaired": 0}}
    return replace(idle(), rollback=0, firmware=None, trusted=None, room=None, ssh="", **odd)


def newcomer() -> Report:
    said = {"serial": "7XK2Q13", "macs": ["52:54:00:12:34:56"]}
    started = {"phase": State.IDLE, "sequence": 0, "entry": "toweros-0.efi"}
    return replace(first_boot(), hardware=said, kept="memory", place="medium", **started)


def held_off() -> Report:
    turn = {"knows": 1, "spent": 4, "state": "held", "sequence": 9, "why": "held off: a call", "until": 1_760_007_200}
    return replace(idle(), turn=turn, trusted={**(idle().trusted or {}), "own": True})


def visited() -> Report:
    order = Order(7_000_000_000_001, "logs", "ada: the mast is silent", "demo-1", 0, 1)
    return replace(idle(), remote=said(order, "ended", "the box restarts now", 63))


def went_back() -> Report:
    left = parsed("full")
    failures = (
        Failure(8, left.digest, left.content, "u", Verdict.FAILED, FAILED, 1_759_990_000, LOG),
        Failure(9, "7" * 64, "c", "u", Verdict.INDETERMINATE, LOST, 1_759_995_000),
    )
    results = (Result("hello", False, "status 500"), Result("service ntpd", True, restarts=1))
    return replace(
        idle(),
        health=Health.DEGRADED,
        error=f"release 8 is held: {FAILED}",
        degraded=("no watchdog", "onboot 003-mount: exit code 1"),
        checks=tuple(map(CheckRow.of, results)),
        failures=tuple(map(FailureRow.of, failures)),
        resets=(ResetRow(9, 1_759_994_000, "idle: in run > step > poll > look (net.py:93), not fed for 46 s"),),
        retried=("ada: the mast was down (2025-10-09 07:00 UTC)",),
    )


def with_facts() -> Report:
    return replace(idle(), facts=good("report", "facts")["facts"])


@pytest.mark.parametrize(
    ("vector", "made"),
    [
        ("idle", idle),
        ("facts", with_facts),
        ("went-back", went_back),
        ("first-boot", first_boot),
        ("newcomer", newcomer),
        ("held-off", held_off),
        ("visited", visited),
    ],
)
def test_a_report_is_written_as_its_vector(tmp_path: Path, vector: str, made: Callable[[], Report]) -> None:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "toweros").mkdir()
    (tmp_path / "toweros" / "box.key").write_bytes(pem)
    (tmp_path / "boot_id").write_text("0b5e6f8a-9d4b-4f8e-8d59-0a5a2f0a7d11\n")
    http, identity = Http(lambda: None, lambda _: None), Identity(tmp_path / "toweros", tmp_path / "esp")
    reporter = Reporter(http, "http://192.0.2.9", "demo-1", identity, tmp_path / "boot_id")
    envelope = json.loads(reporter.envelope(reporter.text(made())))
    assert problems("envelope", envelope) == [] and envelope["key"] == key.public_key().public_bytes_raw().hex()
    key.public_key().verify(bytes.fromhex(envelope["signature"]), envelope["report"].encode())
    document = json.loads(envelope["report"])
    assert problems("report", document) == []
    expected = good("report", vector)
    assert document == expected | {name: document[name] for name in CHANGES_BY_ITSELF}


def test_linuxkits_init_restarts_by_ctrl_alt_del_and_every_other_by_sigterm(tmp_path: Path) -> None:
    """LinuxKit's inittab powers off at every other shutdown: such a box would be off after its first update."""
    file = tmp_path / "boot.json"
    assert restarts_by(file) is signal.SIGTERM
    for name, by in (("blessed", signal.SIGTERM), ("linuxkit", signal.SIGINT)):
        file.write_text(json.dumps(good("boot", name)))
        assert restarts_by(file) is by
