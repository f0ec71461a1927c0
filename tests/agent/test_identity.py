"""The box's key survives the loss of either partition; without one the box makes a new one and goes on."""

import errno
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from toweros_agent import box as on_the_box
from toweros_agent.machine import State
from toweros_agent.outgoing.identity import ON_ESP, Identity, fingerprint, public_of, text_of

from tests.simulators.box import Box, drive, make
from tests.simulators.update_server import UpdateServer

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
PLAIN = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
"""As disks of before have it."""


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    (tmp_path / "toweros").mkdir()
    (tmp_path / "esp" / "EFI" / "toweros").mkdir(parents=True)
    (tmp_path / "toweros" / "identity").mkdir()
    return Identity(tmp_path / "toweros" / "identity", tmp_path / "esp")


def flipped(data: bytes) -> bytes:
    """Still a key, but another one."""
    at = data.rindex(b"-----END") - 20
    for letter in b"AQgw":
        made = data[:at] + bytes([letter]) + data[at + 1 :]
        if made != data:
            load_pem_private_key(made, None)
            return made
    raise AssertionError


BOTH, GONE = text_of(KEY), b""


def aside(path: Path, data: bytes) -> str:
    """Where another whole key goes."""
    try:
        public = public_of(load_pem_private_key(data, None))
    except ValueError:
        return ""
    return f"{path.name}.{public[:16]}"


@pytest.mark.parametrize(
    ("toweros", "esp"),
    [
        (BOTH, BOTH),
        (BOTH, GONE),
        (GONE, BOTH),
        (PLAIN, GONE),
        (GONE, PLAIN),
        (flipped(BOTH), BOTH),
        (BOTH, flipped(BOTH)),
        (flipped(PLAIN), BOTH),
        (BOTH, text_of(OTHER)),
        (BOTH[:70], BOTH),
        (bytes(len(BOTH)), BOTH),
        (b"\xff" * 9000, BOTH),
    ],
    ids=[str(number) for number in range(12)],  # the keys differ from worker to worker
)
def test_one_whole_key_makes_both_whole(identity: Identity, toweros: bytes, esp: bytes) -> None:
    for path, data in ((identity.own, toweros), (identity.copy, esp)):
        if data:
            path.write_bytes(data)
    assert identity.public == public_of(KEY) and identity.problems == []
    assert identity.own.read_bytes() in (BOTH, PLAIN) and identity.copy.read_bytes() in (BOTH, PLAIN)
    assert KEY.public_key().verify(identity.sign(b"report"), b"report") is None
    assert load_pem_private_key(identity.own.read_bytes(), None), "as an older agent reads it"
    assert {path.name for path in identity.own.parent.iterdir()} - {aside(identity.own, toweros)} == {"box.key"}


def test_a_new_key_is_made_once_and_is_closed_to_others(identity: Identity) -> None:
    made = identity.public
    again = Identity(identity.own.parent, identity.copy.parents[2])
    assert again.public == made and identity.copy.read_bytes() == identity.own.read_bytes()
    assert stat.S_IMODE(identity.own.stat().st_mode) == 0o600


def test_what_cannot_be_read_today_is_not_written_over(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    identity.own.write_bytes(BOTH)
    opened = Path.open

    def broken(self: Path, *words: object, **named: object) -> object:
        if self == identity.own:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return opened(self, *words, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", broken)
    assert identity.public != public_of(KEY), "it goes on with one of its own"
    monkeypatch.undo()
    assert identity.own.read_bytes() == BOTH and not identity.copy.exists(), "nor kept beside what may be whole"
    assert len(identity.problems) == 1 and "not kept" in identity.problems[0]
    assert Identity(identity.own.parent, identity.copy.parents[2]).public == public_of(KEY), "TOWEROS comes first"


def test_a_box_without_an_esp_says_that_there_is_no_copy(tmp_path: Path) -> None:
    (tmp_path / "identity").mkdir()
    (tmp_path / "identity" / "box.key").write_bytes(PLAIN)
    identity = Identity(tmp_path / "identity", tmp_path / "esp")
    assert identity.public == public_of(KEY)
    assert identity.problems == [f"the box's key is not in {identity.copy}: there is no {tmp_path / 'esp' / 'EFI'}"]
    assert not (tmp_path / "esp").exists()


def test_a_new_toweros_beside_an_esp_that_is_not_mounted_today_loses_no_key(identity: Identity) -> None:
    identity.copy.write_bytes(BOTH)
    esp = identity.copy.parents[2]
    mounted = esp.rename(esp.with_name("elsewhere"))
    esp.mkdir()
    assert identity.public != public_of(KEY), "it goes on with one of its own"
    assert not identity.own.exists() and "not kept" in " ".join(identity.problems)
    esp.rmdir()
    mounted.rename(esp)
    assert Identity(identity.own.parent, esp).public == public_of(KEY)
    assert identity.own.read_bytes() == identity.copy.read_bytes() == BOTH


def test_a_key_of_before_proves_itself_from_its_first_boot_on(identity: Identity) -> None:
    identity.own.write_bytes(PLAIN)
    assert identity.public == public_of(KEY) and identity.own.read_bytes() == BOTH


def test_a_whole_key_that_is_another_is_moved_aside(identity: Identity) -> None:
    other = text_of(OTHER)
    identity.own.write_bytes(BOTH)
    identity.copy.write_bytes(other)
    assert identity.public == public_of(KEY) and identity.copy.read_bytes() == BOTH
    assert identity.copy.with_name(aside(identity.copy, other)).read_bytes() == other


def test_a_box_that_lost_toweros_reports_with_the_key_that_it_had(server: UpdateServer, tmp_path: Path) -> None:
    (tmp_path / "box").mkdir()
    box, made = Box(tmp_path / "box", server.url, server.root), make(7)
    box.install(made)
    server.publish(made.document, made.uki, made.addon)
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    assert (box.esp / ON_ESP).exists() and box.report(server)["health"] == "Healthy"
    for path in (box.disk / "identity").iterdir():
        path.unlink()
    (box.disk / "identity").rmdir()  # as the initrd makes TOWEROS anew
    agent, sent = box.power_on(), len(server.reports)
    assert agent
    drive(agent, State.IDLE)
    assert len(server.reports) > sent and box.report(server)["degraded"] == []
    shown = fingerprint(public_of(box.key))
    assert f"key       {shown}\n" in on_the_box.status(box.places)
