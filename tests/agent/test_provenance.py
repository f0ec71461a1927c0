"""A box that knows its builders takes nothing else; attacks by name. (The server has TUF's keys.)"""

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner
from toweros_agent.offer import provenance

from gitops.model import Builders, Claim, Release
from gitops.model.provenance import LAYER, PAYLOAD, RELEASE
from gitops.sign.envelope import seal
from tests.simulators.box import Box, Made, State, drive, make
from tests.simulators.update_server import UpdateServer, endless, garbage, truncated

FLEET = "3f0c1c52-6a0e-4a43-9d3b-7f1f3f6f2a11"
BUILDER, STRANGER = CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()
OLD, NEW = make(7), make(8, service=b"two")
(OWN,) = (root for root in NEW.blobs if root not in OLD.blobs)
"""The one layer that is new."""


def believed(*signers: CryptoSigner, fleet: str = FLEET) -> bytes:
    return Builders(fleet, tuple(each.public_key.keyval["public"] for each in signers)).encode()


def claims(made: Made, fleet: str = FLEET) -> dict[str, Claim]:
    """What an honest builder says of a release, by the subjects."""
    files = {"release.json": made.document, "uki.efi": made.uki, "addon.efi": made.addon}
    subjects = {name: sha256(data).hexdigest() for name, data in files.items()}
    found = {root: Claim(LAYER, fleet, "c" * 40, {root: root}, builder="b", version="1") for root in made.blobs}
    return found | {made.digest: Claim(RELEASE, fleet, "c" * 40, subjects, builder="b", version="1")}


def state(server: UpdateServer, made: Made, signer: CryptoSigner = BUILDER) -> None:
    for subject, claim in claims(made).items():
        put(server, subject, seal(claim.encode(), [signer]))


def put(server: UpdateServer, subject: str, data: bytes) -> None:
    server.files[f"/attestations/{subject}.json"] = data


def offer(server: UpdateServer, made: Made) -> None:
    for root, data in made.blobs.items():
        server.add_layer(data, root)
    server.publish(made.document, made.uki, made.addon)


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    """Runs release 7 and believes the builder; release 8 is offered, and honestly attested."""
    (tmp_path / "box").mkdir()
    made = Box(tmp_path / "box", server.url, server.root)
    (made.places.etc / "builder.json").write_bytes(believed(BUILDER))
    made.install(OLD)
    offer(server, NEW)
    state(server, NEW)
    return made


def update(box: Box) -> None:
    """Into the trial of what is offered, and through it."""
    agent = box.power_on()
    assert agent and drive(agent, State.REBOOTING) == State.REBOOTING
    agent.step()
    agent = box.power_on()
    assert agent and agent.boot.sequence == 8
    drive(agent, State.IDLE)


def refused(box: Box, server: UpdateServer) -> str:
    """The reason that the box reports; it stays as it was, and has fetched nothing of it."""
    agent = box.power_on()
    assert agent
    for _ in range(4):
        agent.step()
        assert agent.state in (State.IDLE, State.FETCHING)
    drive(agent, State.IDLE)
    assert box.entries() == ["toweros-7.efi"] and not box.rebooted
    assert not [path for path in server.paths() if path.startswith("/layers") or path.endswith(".efi")]
    assert OWN not in {path.name for path in (box.disk / "layers").iterdir()}
    return str(box.report(server)["error"])


def test_a_box_asks_for_the_release_and_for_each_layer_that_it_lacks(box: Box, server: UpdateServer) -> None:
    update(box)
    assert box.bootable() == [7, 8]
    asked = [path for path in server.paths() if path.startswith("/attestations")]
    assert asked[:2] == [f"/attestations/{NEW.digest}.json", f"/attestations/{OWN}.json"]
    assert asked[2:] == [f"/attestations/{NEW.digest}.json"], "in its trial, whether it could be replaced"


def test_an_agent_without_builders_asks_for_none(box: Box, server: UpdateServer) -> None:
    """Of a fleet that has no builder's key, or of an older controller."""
    (box.places.etc / "builder.json").unlink()
    for path in [path for path in server.files if path.startswith("/attestations")]:
        del server.files[path]
    update(box)
    assert not [path for path in server.paths() if path.startswith("/attestations")]


def test_after_a_rotation_both_keys_are_good_for_those_who_know_one(box: Box, server: UpdateServer) -> None:
    for subject, claim in claims(NEW).items():
        put(server, subject, seal(claim.encode(), [STRANGER, BUILDER]))
    update(box)
    assert box.bootable() == [7, 8]


Attack = Callable[[Claim], bytes]


def resealed(change: Callable[[Claim], Claim], signer: CryptoSigner = BUILDER) -> Attack:
    return lambda claim: seal(change(claim).encode(), [signer])


def of_another_payload_type(claim: Claim) -> bytes:
    """Signed by the builder, as something else that he signs: the type is part of what is signed."""
    made = Envelope(claim.encode(), "application/json", {})
    made.sign(BUILDER)
    return json.dumps(made.to_dict()).encode()


def with_the_payload_type_put_right(claim: Claim) -> bytes:
    document = json.loads(of_another_payload_type(claim))
    return json.dumps(document | {"payloadType": PAYLOAD}).encode()


def with_another_payload(claim: Claim) -> bytes:
    good, other = (json.loads(seal(each.encode(), [BUILDER])) for each in (claim, replace(claim, commit="d" * 40)))
    return json.dumps(good | {"payload": other["payload"]}).encode()


def of_another_predicate(claim: Claim) -> bytes:
    document = json.loads(claim.encode())
    return seal(json.dumps(document | {"predicateType": "https://slsa.dev/provenance/v0.2"}).encode(), [BUILDER])


def replayed(claim: Claim) -> bytes:
    """What the builder honestly said of release 7, or of one of its layers."""
    root = next(iter(OLD.blobs))
    return seal(claims(OLD)[root if claim.kind == LAYER else OLD.digest].encode(), [BUILDER])


def of_the_other_kind(claim: Claim) -> bytes:
    kind = RELEASE if claim.kind == LAYER else LAYER
    return seal(replace(claim, kind=kind).encode(), [BUILDER])


def deep(_: Claim) -> bytes:
    return b'{"payload":' + b"[" * 100_000


ATTACKS: dict[str, tuple[Attack, str]] = {
    "signed by another key": (resealed(lambda claim: claim, STRANGER), "is not signed by a builder of this fleet"),
    "payload type changed": (of_another_payload_type, "holds 'application/json', not a statement"),
    "payload type put right": (with_the_payload_type_put_right, "is not signed by a builder of this fleet"),
    "payload changed": (with_another_payload, "is not signed by a builder of this fleet"),
    "predicate of another kind": (of_another_predicate, "is a statement of another kind"),
    "another fleet's": (resealed(lambda claim: replace(claim, fleet="b" * 36)), f"is another fleet's: {'b' * 36}"),
    "replayed from an older one": (replayed, "is about another"),
    "of the other kind": (of_the_other_kind, "speaks of another kind of thing"),
    "without signatures": (lambda claim: seal(claim.encode(), []), "is not signed by a builder of this fleet"),
    "garbage": (lambda _: b"\x00\xff garbage", "is unreadable"),
    "no object": (lambda _: b"[]", "is unreadable"),
    "deeply nested": (deep, "is unreadable"),
    "signed garbage": (lambda _: seal(b"garbage", [BUILDER]), "is unreadable"),
    "signed list": (lambda _: seal(b"[1]", [BUILDER]), "is unreadable"),
    "empty": (lambda _: b"", "is unreadable"),
    "huge": (lambda claim: seal(claim.encode(), [BUILDER]) + b" " * provenance.MAX_ATTESTATION, "has more than"),
}


@pytest.mark.parametrize("what", ["release 8", f"layer {OWN[:12]}"])
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_by_name(box: Box, server: UpdateServer, what: str, name: str) -> None:
    subject = NEW.digest if what == "release 8" else OWN
    attack, words = ATTACKS[name]
    put(server, subject, attack(claims(NEW)[subject]))
    assert refused(box, server).startswith(f"{what}: its provenance {words}")


@pytest.mark.parametrize("what", ["release 8", f"layer {OWN[:12]}"])
def test_what_is_stripped_is_refused(box: Box, server: UpdateServer, what: str) -> None:
    del server.files[f"/attestations/{NEW.digest if what == 'release 8' else OWN}.json"]
    assert refused(box, server) == f"{what}: its provenance is missing, and this box asks for it"


@pytest.mark.parametrize("file", ["uki.efi", "addon.efi"])
def test_a_boot_file_that_the_builder_did_not_name_is_refused(box: Box, server: UpdateServer, file: str) -> None:
    """Whoever holds TUF's keys puts another boot file beside the release."""
    other = replace(NEW, **{file.partition(".")[0]: b"MZ signed another"})
    server.publish(other.document, other.uki, other.addon)
    assert refused(box, server) == f"release 8: its provenance is about another {file}"


@pytest.mark.parametrize("fault", [truncated, endless, garbage])
def test_a_faulty_server_costs_only_time(box: Box, server: UpdateServer, fault: object) -> None:
    server.faults[f"/attestations/{OWN}.json"] = fault  # type: ignore[assignment]
    assert refused(box, server)
    server.faults.clear()
    update(box)
    assert box.bootable() == [7, 8]


def test_what_does_not_believe_its_own_builder_is_not_kept(box: Box, server: UpdateServer) -> None:
    """A release that asks for a builder who did not make it could never be replaced: its trial ends."""
    agent = box.power_on()
    assert agent and drive(agent, State.REBOOTING) == State.REBOOTING
    agent.step()
    (box.places.etc / "builder.json").write_bytes(believed(STRANGER))
    agent = box.power_on()
    assert agent and agent.boot.sequence == 8
    agent.http.timeout = 0.5
    drive(agent, State.REBOOTING)
    agent.step()
    assert box.entries()[0] == "toweros-7.efi"
    (failure,) = agent.history.memory.failures
    assert failure.sequence == 8


@pytest.mark.parametrize("data", [b"", b"{}", believed(BUILDER)[:-5], b'{"format":2}'])
def test_builders_that_cannot_be_read_are_no_downgrade(box: Box, server: UpdateServer, data: bytes) -> None:
    (box.places.etc / "builder.json").write_bytes(data)
    assert "builder.json" in refused(box, server)


def test_the_simulated_releases_are_what_they_are_taken_for() -> None:
    assert Release.parse(NEW.document).sequence == 8 and OWN not in OLD.blobs
