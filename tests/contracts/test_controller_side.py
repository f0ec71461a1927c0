"""What the controller writes is what its contracts say, to the byte; and it reads what they say that it must."""

import json
import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner
from starlette.exceptions import HTTPException

from gitops.errors import DocumentError, SignError, StoreError
from gitops.fleet.system_files import drop_in
from gitops.model import (
    DROP_IN,
    KEYS,
    BlobRef,
    BootFiles,
    Box,
    Builders,
    Claim,
    Content,
    Health,
    HealthCheck,
    HealthSpec,
    Layer,
    Material,
    Mounted,
    Publication,
    Release,
    Revision,
    Spec,
    Statement,
    Target,
    canonical,
    sha256,
)
from gitops.model.keys import NOC_DROP_IN
from gitops.model.network.copies import COPIES_DROP_IN
from gitops.model.provenance import LAYER
from gitops.model.rollout.turns import Lease
from gitops.noc.bundles import NAME, Bundle
from gitops.publish.targets import APPLY, NEXT, each_named, held, next_of, renamed, targets_of
from gitops.rollout.leases.words import words
from gitops.server.boxes.reports import take
from gitops.sign import envelope
from gitops.sign.receipts import Receipts
from gitops.store import Store
from gitops.store.notes.box_keys import BoxDisk
from tests.kit.contracts import CONTRACTS, good, load, problems, vectors

SUPERSEDED = "Git asks for another release by now, which waits for its turn"

# --- the naming of a machine ---


@pytest.mark.parametrize(("vector", "box"), [("one", "site-9"), ("longest", "s" * 63)])
def test_a_naming_is_written_as_its_vector(vector: str, box: str) -> None:
    wanted = (CONTRACTS / "naming" / "good" / f"{vector}.json").read_bytes()
    key = str(good("naming", "one")["key"])
    (target,) = renamed({}, {key: box}).items()
    assert target[0] == f"claims.new/{key}" and canonical(target[1].custom) == wanted
    assert target[1].ref == BlobRef(sha256(wanted), len(wanted))


# --- release.json ---

ONE, TWO, THREE = (Layer(digit * 64, 4096 * int(digit)) for digit in "123")
MINIMAL = Release(
    "demo-1", 7, Content(BlobRef("a" * 64, 100), BlobRef("b" * 64, 200), "console=ttyS0", (ONE,), (), HealthSpec())
)
CHECKS = (
    HealthCheck("hello", "http", "http://127.0.0.1:8080/", 204, "grüß dich", 5),
    HealthCheck("ntp", "service", "ntpd"),
    HealthCheck("hlr", "container", "hlr"),
)
FULL = Release(
    "demo-1",
    8,
    Content(
        BlobRef("a" * 64, 100),
        BlobRef("b" * 64, 200),
        "console=ttyS0",
        (ONE, TWO),
        (
            Mounted("onboot/000-sysctl", "rootfs", (ONE,)),
            Mounted("services/sshd", "lower", (ONE, THREE)),
            Mounted("images", "oci", (Layer("4" * 64, 4 * 4096), Layer("5" * 64, 5 * 4096))),
        ),
        HealthSpec(120, CHECKS),
    ),
)
NAMED = replace(MINIMAL, content=replace(MINIMAL.content, boot=BootFiles("c" * 64, "d" * 64, "e" * 64)))
RELEASES = [("minimal", MINIMAL), ("full", FULL), ("named", NAMED)]


@pytest.mark.parametrize(("vector", "release"), RELEASES)
def test_a_release_is_written_as_its_vector(vector: str, release: Release) -> None:
    data = (CONTRACTS / "release" / "good" / f"{vector}.json").read_bytes()
    assert release.encode() == data
    assert problems("release", json.loads(data)) == []
    assert Release.parse(data) == release


@pytest.mark.parametrize("vector", vectors("release", "before"))
def test_a_release_of_the_version_before_is_read(vector: Path) -> None:
    assert Release.parse(vector.read_bytes()).box == "demo-1"


@pytest.mark.parametrize("vector", vectors("release", "ahead", "damaged"))
def test_a_release_that_is_not_understood_is_refused_by_name(vector: Path) -> None:
    with pytest.raises(DocumentError, match="release.json has format 2" if ahead(vector) else "release.json "):
        Release.parse(vector.read_bytes())


def ahead(vector: Path) -> bool:
    return vector.stem.startswith("format-2")


# --- the target's custom ---

UNSIGNED = Revision("main", "d" * 40, 7, 1760000000)
TAGGED = Revision(
    "v1.4.0",
    "e" * 40,
    8,
    1760000000,
    signers=("ada@example.org", "bob@example.org"),
    evidence=(BlobRef("6" * 64, 321), BlobRef("7" * 64, 123)),
    tagged=True,
)


BERLIN = Box("demo-1", "vm", Spec("kernel", "quiet"), windows=("mon-tue 01:00-05:00",), timezone="Europe/Berlin",
             moratoria=("2026-12-20..2027-01-03: Christmas", "2026-01-01..2026-01-02: over"))  # fmt: skip


def custom(release: Release, revision: Revision, hold: str = "") -> dict[str, Any]:
    blob = BlobRef("0" * 64, 1)
    targets = targets_of(Publication(release, revision, blob, blob, blob))
    return dict(held(targets, {"demo-1": hold} if hold else {})["demo-1/release.json"].custom)


@pytest.mark.parametrize(
    ("vector", "release", "revision", "hold"),
    [("unsigned", MINIMAL, UNSIGNED, ""), ("tagged", FULL, TAGGED, ""), ("held", FULL, TAGGED, "ada: storm")],
)
def test_custom_is_written_as_its_vector(vector: str, release: Release, revision: Revision, hold: str) -> None:
    document = custom(release, revision, hold)
    assert document == good("custom", vector)
    assert problems("custom", document) == []
    assert Statement.parse(document).encode() == document


def test_a_permission_and_what_comes_next_are_written_as_their_vectors() -> None:
    ref = {name: BlobRef(digit * 64, size) for name, digit, size in
           (("document", "1", 900), ("uki", "2", 19_000_000), ("addon", "3", 3500))}  # fmt: skip
    coming = Publication(replace(FULL, sequence=9), TAGGED, **ref)
    said = next_of(coming, 600) | {"content": "8" * 64}
    path, target = "demo-1/release.json", Target(BlobRef("0" * 64, 1), custom(FULL, TAGGED))
    apply = Lease(4, 1_795_000_000).encode() | words(BERLIN, 1_795_000_000)
    stopped = Lease(4, 1_795_000_000, "frozen: ada: storm").encode() | {"veto": 7200}
    for vector, member, value in (("apply", APPLY, apply), ("stopped", APPLY, stopped), ("next", NEXT, said)):
        held_back = {"held": SUPERSEDED} if vector == "next" else {}
        (made,) = each_named({path: target}, member, {"demo-1": value}).values()
        assert dict(made.custom) | held_back == good("custom", vector)
        assert problems("custom", dict(made.custom)) == []
        assert each_named({path: made}, member, {}) == {path: target}, "and it goes"


@pytest.mark.parametrize("vector", vectors("custom", "before", "ahead"))
def test_custom_is_read_across_versions(vector: Path) -> None:
    if ahead(vector):
        with pytest.raises(DocumentError, match=r"custom of release.json has format 2"):
            Statement.parse(load(vector))
    else:
        assert Statement.parse(load(vector)).sequence in (7, 8)


@pytest.mark.parametrize("vector", vectors("custom", "damaged"))
def test_custom_that_is_damaged_is_refused_by_name(vector: Path) -> None:
    with pytest.raises(DocumentError, match=r"custom of release.json is damaged"):
        Statement.parse(load(vector))


# --- the report ---


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def store(tmp_path: Path, key: Ed25519PrivateKey) -> Store:
    made = Store.open(tmp_path)
    made.boxes.enroll("demo-1", key.public_key().public_bytes_raw().hex())
    return made


def signed(key: Ed25519PrivateKey, text: bytes) -> bytes:
    envelope = good("envelope", "idle", report=text.decode(), signature=key.sign(text).hex())
    return json.dumps(envelope).encode()


@pytest.mark.parametrize("vector", vectors("report", "good", "before", "ahead"))
def test_a_report_is_taken_across_versions(store: Store, key: Ed25519PrivateKey, vector: Path) -> None:
    body = signed(key, vector.read_bytes())
    if ahead(vector):
        with pytest.raises(HTTPException) as refused:
            take(store, "demo-1", body)
        assert (refused.value.status_code, refused.value.detail) == (
            422,
            "the report has format 2: this version reads 0 and 1",
        )
        return
    take(store, "demo-1", body)
    report = store.boxes.report("demo-1")
    assert report is not None
    members = {name: value for name, value in load(vector).items() if name not in ("format", "tpm", "hardware")}
    if "kept" in members:  # whose key is gone with its power is Unknown
        assert (report.health, members.pop("health")) == (Health.UNKNOWN, Health.PROGRESSING)
        assert len(report.degraded) == 1 and members.pop("degraded") == []
    assert members.items() <= json.loads(canonical(asdict(report))).items()


def test_what_a_disk_holds_is_kept_and_stays_while_nobody_says_otherwise(store: Store, key: Ed25519PrivateKey) -> None:
    """`toweros box image` said what it made; a box that reports knows better; an older agent knows nothing."""
    made, room = BoxDisk(9, 5, made=True), good("report", "idle")["room"]
    store.notes.put(made, "demo-1")
    for counter, said, kept in ((1, None, made), (2, room, BoxDisk(**room)), (3, None, BoxDisk(**room))):
        take(store, "demo-1", signed(key, canonical(good("report", "idle", counter=counter, room=said))))
        assert store.notes.get(BoxDisk, "demo-1") == kept


@pytest.mark.parametrize("vector", vectors("report", "damaged"))
def test_a_report_that_is_damaged_is_refused_by_name(store: Store, key: Ed25519PrivateKey, vector: Path) -> None:
    with pytest.raises(HTTPException) as refused:
        take(store, "demo-1", signed(key, vector.read_bytes()))
    assert refused.value.status_code == 422 and refused.value.detail.startswith("the report is damaged: ")
    assert store.boxes.report("demo-1") is None


@pytest.mark.parametrize("vector", ["taken", "refused"])
def test_a_receipt_is_written_as_its_vector(vector: str) -> None:
    key = Ed25519PrivateKey.generate()
    wanted = (CONTRACTS / "receipt" / "good" / f"{vector}.json").read_text()
    header = Receipts(key).header("demo-1", b"report", taken=vector == "taken", now=1_760_000_000)["toweros-receipt"]
    signature, _, text = header.partition(" ")
    key.public_key().verify(bytes.fromhex(signature), text.encode())
    assert json.loads(text) == json.loads(wanted) | {"report": sha256(b"report")}
    assert len(text) == len(wanted), "canonical"


@pytest.mark.parametrize("vector", vectors("envelope", "good", "before", "ahead"))
def test_an_envelope_is_opened_before_its_report_is_read(store: Store, vector: Path) -> None:
    with pytest.raises(HTTPException) as refused:
        take(store, "demo-1", vector.read_bytes())
    assert (refused.value.status_code, "signature" in refused.value.detail) == (403, True), "the vectors are not signed"


@pytest.mark.parametrize("vector", vectors("envelope", "damaged"))
def test_an_envelope_that_is_damaged_is_refused(store: Store, vector: Path) -> None:
    with pytest.raises(HTTPException) as refused:
        take(store, "demo-1", vector.read_bytes())
    assert refused.value.status_code == 400


# --- the agent's drop-in ---


def test_the_drop_in_is_written_as_its_vector() -> None:
    box = Box("demo-1", "vm", Spec("kernel", "quiet"))
    assert drop_in(box) == (CONTRACTS / "agent" / "good" / "50-box.toml").read_text()
    assert problems("agent", tomllib.loads(drop_in(box))) == []


def test_every_key_that_is_written_for_the_agent_is_in_the_contract() -> None:
    schema = json.loads((CONTRACTS / "agent" / "schema.json").read_bytes())
    assert {name for name, key in KEYS.items() if key.writes in (DROP_IN, NOC_DROP_IN, COPIES_DROP_IN)} <= schema[
        "properties"
    ].keys()


# --- provenance ---

FLEET = "3f0c1c52-6a0e-4a43-9d3b-7f1f3f6f2a11"
CLAIM = Claim(
    LAYER,
    FLEET,
    "d" * 40,
    {"1" * 64: "1" * 64},
    {"package": "pkg/hello", "platform": "linux/amd64", "recipe": 1, "arguments": []},
    {"adopted": False, "key": "2" * 64, "tag": "toweros/hello:1"},
    (Material("pkg/toolbox", "3" * 64), Material("hello_1_amd64.deb", "4" * 64, uri="pkg:deb/debian/hello@1")),
    "urn:toweros:builder:buildah",
    "0.1.0",
)


def builders(*numbers: int) -> list[CryptoSigner]:
    return [CryptoSigner(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)) for number in numbers]


def public(*numbers: int) -> tuple[str, ...]:
    return tuple(each.public_key.keyval["public"] for each in builders(*numbers))


@pytest.mark.parametrize(("vector", "numbers"), [("one", (1,)), ("two", (1, 2))])
def test_builders_are_written_as_their_vector(vector: str, numbers: tuple[int, ...]) -> None:
    data = (CONTRACTS / "builder" / "good" / f"{vector}.json").read_bytes()
    assert Builders(FLEET, public(*numbers)).encode() == data
    assert Builders.parse(data) == Builders(FLEET, public(*numbers))


@pytest.mark.parametrize("vector", vectors("builder", "before", "ahead"))
def test_builders_are_read_across_versions(vector: Path) -> None:
    if ahead(vector):
        with pytest.raises(DocumentError, match=r"builder.json has format 2"):
            Builders.parse(vector.read_bytes())
    else:
        assert Builders.parse(vector.read_bytes()).keys == public(1)


@pytest.mark.parametrize("vector", vectors("builder", "damaged"))
def test_builders_that_are_damaged_are_refused_by_name(vector: Path) -> None:
    with pytest.raises(DocumentError, match=r"builder.json is damaged"):
        Builders.parse(vector.read_bytes())


@pytest.mark.parametrize(("vector", "numbers"), [("layer", (1,)), ("two-signatures", (2, 1))])
def test_an_attestation_is_written_as_its_vector(vector: str, numbers: tuple[int, ...]) -> None:
    data = (CONTRACTS / "attestation" / "good" / f"{vector}.json").read_bytes()
    assert envelope.seal(CLAIM.encode(), builders(*numbers)) == data
    assert Claim.parse(envelope.unseal(data, public(1))) == CLAIM


def test_an_attestation_is_what_others_read(tmp_path: Path) -> None:
    """securesystemslib's own verification, and SLSA's and in-toto's words."""
    data = json.loads((CONTRACTS / "attestation" / "good" / "layer.json").read_bytes())
    read = Envelope.from_dict(data)
    read.verify([builders(1)[0].public_key], 1)
    statement = json.loads(read.payload)
    assert (statement["_type"], statement["predicateType"]) == (
        "https://in-toto.io/Statement/v1",
        "https://slsa.dev/provenance/v1",
    )
    assert {"buildDefinition", "runDetails"} == statement["predicate"].keys()
    assert all("digest" in each for each in statement["predicate"]["buildDefinition"]["resolvedDependencies"])


@pytest.mark.parametrize("vector", vectors("attestation", "before", "ahead"))
def test_an_attestation_is_opened_across_versions(vector: Path) -> None:
    assert Claim.parse(envelope.unseal(vector.read_bytes(), public(1))) == CLAIM


@pytest.mark.parametrize("vector", vectors("attestation", "damaged"))
def test_an_attestation_that_is_damaged_is_refused(vector: Path) -> None:
    with pytest.raises(SignError, match=r"it is no envelope|it holds|no builder that we believe"):
        envelope.unseal(vector.read_bytes(), public(1))


# --- toweros-bundle.json ---


@pytest.mark.parametrize(
    ("vector", "bundle"),
    [("one", Bundle(("site-7",), 1_790_000_000, 1_790_600_000)), ("several", Bundle(("a", "new.vm", "site-7"), 0, 0))],
)
def test_a_bundle_is_written_as_its_vector(vector: str, bundle: Bundle) -> None:
    assert bundle.encode() == (CONTRACTS / "bundle" / "good" / f"{vector}.json").read_bytes()


@pytest.mark.parametrize("vector", vectors("bundle", "good", "before", "ahead", "damaged"))
def test_a_bundle_is_read_across_versions_and_refused_by_name(vector: Path, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(vector.read_bytes())
    if vector.parent.name == "damaged" or vector.stem.startswith("format-2"):
        with pytest.raises(StoreError, match=r"toweros-bundle\.json"):
            Bundle.open(tmp_path)
    else:
        assert Bundle.open(tmp_path).boxes
