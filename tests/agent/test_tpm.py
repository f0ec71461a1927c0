"""The copy of the box's key, sealed by a real TPM (swtpm): what it survives, and who cannot open it."""

import os
import re
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from toweros_agent import deadlines
from toweros_agent.machine import State
from toweros_agent.outgoing.identity import Identity, public_of, text_of
from toweros_agent.tpm import chip
from toweros_agent.tpm.asking import PATIENCE, ClosedError, NoTpmError, Tpm, TpmError

from tests.kit.soft_tpm import SocketTpm, SoftTpm, a_liar, a_tpm
from tests.simulators.box import Box, drive, make
from tests.simulators.power import cut_at
from tests.simulators.update_server import UpdateServer

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
SECRET = KEY.private_bytes_raw()
NONE = Path("/dev/no-such-tpm")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftTpm]:
    with a_tpm(tmp_path_factory.mktemp("tpm")) as made:
        yield made


@pytest.fixture
def tpm(tmp_path: Path) -> Iterator[SoftTpm]:
    """One for a single story, which it may spoil."""
    with a_tpm(tmp_path / "own-tpm") as made:
        yield made


# --- the chip ---


def test_what_is_sealed_is_opened_in_another_boot_and_is_not_readable_in_between(tpm: SoftTpm) -> None:
    sealed = tpm.asked().seal(SECRET)
    tpm.stop()
    tpm.start()
    assert tpm.asked().open(sealed) == SECRET and SECRET not in sealed


def test_another_machine_does_not_open_it(tpm: SoftTpm, running: SoftTpm) -> None:
    with pytest.raises(ClosedError, match="another TPM"):
        tpm.asked().open(running.asked().seal(SECRET))


def test_a_tpm_that_was_cleared_does_not_open_it_and_seals_anew(tpm: SoftTpm) -> None:
    sealed = tpm.asked().seal(SECRET)
    tpm.clear()
    with pytest.raises(ClosedError, match="cleared"):
        tpm.asked().open(sealed)
    assert tpm.asked().open(tpm.asked().seal(SECRET)) == SECRET


def test_a_box_that_is_wiped_clears_its_tpm_so_that_no_copy_opens(tpm: SoftTpm) -> None:
    """Its key, as somebody copied it from the ESP before."""
    sealed = tpm.asked().seal(SECRET)
    tpm.asked().clear()
    with pytest.raises(ClosedError, match="cleared"):
        tpm.asked().open(sealed)


def test_no_damage_makes_another_secret(running: SoftTpm) -> None:
    sealed = running.asked().seal(SECRET)
    damaged = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(0, len(sealed), 5)]
    for each in (b"", sealed[:1], sealed[:100], sealed[:-1], b"\xff" * 300, *damaged):
        with pytest.raises(ClosedError):
            running.asked().open(each)


def test_objects_that_somebody_left_behind_are_in_nobodys_way(tpm: SoftTpm) -> None:
    for _ in range(4):  # as if it was killed before it could clean up
        device = tpm.asked().opened()
        try:
            assert chip.Chip(device).seal(SECRET)
        finally:
            os.close(device)
    assert tpm.asked().open(tpm.asked().seal(SECRET)) == SECRET


def test_nothing_stays_in_the_tpm(tpm: SoftTpm) -> None:
    tpm.asked().open(tpm.asked().seal(SECRET))
    with pytest.raises(ClosedError):
        tpm.asked().open(b"\0\x01x\0\x01y")
    handles = tpm.tell(bytes.fromhex("8001 00000016 0000017a 00000001 80000000 00000008"))
    assert handles[-4:] == bytes(4), "GetCapability knows of no transient object"


ANSWERS: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda answer: answer[:9],
    "one byte less": lambda answer: answer[:-1],
    "one byte more": lambda answer: answer + b"\0",
    "noise": lambda answer: b"\xa5" * len(answer),
    "of TPM 1.2": lambda answer: struct.pack(">HII", 0xC4, 10, 0x1E),
    "another kind": lambda answer: (b"\x80\x01" if answer[1] == 2 else b"\x80\x02") + answer[2:],
    "empty, and well": lambda answer: answer[:2] + struct.pack(">II", 10, 0),
    "less in it than it says": lambda answer: answer[:14] + b"\xff\xff\xff\xff" + answer[18:],
    "a failure of the chip": lambda answer: struct.pack(">HII", 0x8001, 10, 0x101),
    "a lockout": lambda answer: struct.pack(">HII", 0x8001, 10, 0x921),
}


def code_of(command: bytes) -> int:
    return int.from_bytes(command[6:10], "big")


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_that_is_none_is_a_fault_and_no_secret(running: SoftTpm, tmp_path: Path, what: str) -> None:
    sealed, lied = running.asked().seal(SECRET), list[int]()
    for code in (chip.CREATE_PRIMARY, chip.LOAD, chip.UNSEAL):

        def answer(command: bytes, code: int = code) -> bytes:
            said = running.tell(command)
            if code_of(command) != code:
                return said
            lied.append(code)
            return ANSWERS[what](said)

        folder = tmp_path / str(code)
        folder.mkdir()
        with a_liar(folder, answer) as liar, pytest.raises(TpmError):
            liar.open(sealed)
            pytest.fail(f"{what} is believed of command {code:#x}")
    assert len(set(lied)) == 3


def test_a_tpm_that_does_not_answer_is_asked_once_and_left_in_time(tmp_path: Path) -> None:
    asked: list[bytes] = []

    def silence(command: bytes) -> bytes:
        asked.append(command)
        return b""

    with a_liar(tmp_path, silence, patience=0.5) as silent:
        for _ in range(3):
            with pytest.raises(TpmError, match="did not answer in time"):
                silent.seal(SECRET)
    assert len(asked) == 1


def test_all_questions_of_a_boot_fit_before_the_watchdog(running: SoftTpm) -> None:
    assert deadlines.FED_EVERY + PATIENCE + deadlines.SLICE < deadlines.BARK
    tpm = running.asked(patience=0.3)
    with pytest.raises(TpmError, match="did not answer in time"):
        for _ in range(100):  # each in its time
            tpm.seal(SECRET)


def test_a_machine_without_one_says_so() -> None:
    with pytest.raises(NoTpmError):
        Tpm(NONE).seal(SECRET)


# --- the copy of the key ---


class Disks:
    """TOWEROS and the ESP, and a new boot whenever somebody asks for the key."""

    def __init__(self, folder: Path) -> None:
        self.toweros, self.esp, self.said = folder / "toweros" / "identity", folder / "esp", list[str]()
        self.toweros.mkdir(parents=True)
        self.ours = self.esp / "EFI" / "toweros"
        self.ours.mkdir(parents=True)

    def boot(self, tpm: Tpm) -> Identity:
        identity = Identity(self.toweros, self.esp, self.said.append, tpm)
        identity.settle()
        return identity

    def lose_toweros(self) -> None:
        shutil.rmtree(self.toweros)
        self.toweros.mkdir()

    def on_esp(self) -> set[str]:
        return {path.name for path in self.ours.iterdir()}


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    """As an image or an older agent leaves them: the key, and a plain copy."""
    made = Disks(tmp_path)
    for path in (made.toweros / "box.key", made.ours / "box.key"):
        path.write_bytes(text_of(KEY))
    return made


@pytest.fixture
def sealed(disks: Disks, tpm: SoftTpm) -> Disks:
    """The same after the first boot with a TPM."""
    assert disks.boot(tpm.asked()).public == public_of(KEY)
    assert disks.on_esp() == {"box.sealed"}
    return disks


def test_a_plain_copy_becomes_a_sealed_one(sealed: Disks, tpm: SoftTpm) -> None:
    assert (sealed.toweros / "box.key").read_bytes() == text_of(KEY)
    written = [line for line in sealed.said if "sealed by the TPM" in line or "is removed" in line]
    assert len(written) == 2, sealed.said
    before = (sealed.ours / "box.sealed").stat().st_mtime_ns
    assert sealed.boot(tpm.asked()).problems == [] and len(sealed.said) == 2
    assert (sealed.ours / "box.sealed").stat().st_mtime_ns == before, "and stays as it is"


def test_a_box_that_lost_toweros_has_its_key_from_the_tpm(sealed: Disks, tpm: SoftTpm) -> None:
    sealed.lose_toweros()
    tpm.stop()
    tpm.start()
    identity = sealed.boot(tpm.asked())
    assert identity.public == public_of(KEY) and identity.problems == []
    assert (sealed.toweros / "box.key").read_bytes() == text_of(KEY) and sealed.on_esp() == {"box.sealed"}


def test_another_board_seals_again_what_toweros_has(sealed: Disks, running: SoftTpm) -> None:
    identity = sealed.boot(running.asked())
    assert identity.public == public_of(KEY) and identity.problems == [] and sealed.on_esp() == {"box.sealed"}
    sealed.lose_toweros()
    assert sealed.boot(running.asked()).public == public_of(KEY)


def test_a_cleared_tpm_and_a_lost_toweros_end_in_a_new_key_that_asks(sealed: Disks, tpm: SoftTpm) -> None:
    sealed.lose_toweros()
    tpm.clear()
    identity = sealed.boot(tpm.asked())
    assert identity.public != public_of(KEY) and "a new one is made" in " ".join(sealed.said)
    assert sealed.on_esp() == {"box.sealed", f"box.sealed.{public_of(KEY)[:16]}"}, "the old one is not thrown away"
    assert sealed.boot(tpm.asked()).public == identity.public, "it is kept, so that somebody can let it in"
    sealed.lose_toweros()
    assert sealed.boot(tpm.asked()).public == identity.public


def test_a_tpm_that_hangs_costs_no_copy(sealed: Disks, tpm: SoftTpm) -> None:
    sealed_then = (sealed.ours / "box.sealed").read_bytes()
    tpm.hang()
    identity = sealed.boot(tpm.asked(patience=0.5))
    assert identity.public == public_of(KEY) and identity.problems == []
    assert (sealed.ours / "box.key").read_bytes() == text_of(KEY), "the plain copy is back"
    assert (sealed.ours / "box.sealed").read_bytes() == sealed_then
    tpm.hang(goes_on=True)
    assert sealed.boot(tpm.asked()).public == public_of(KEY) and sealed.on_esp() == {"box.sealed"}


def test_a_new_key_is_not_kept_while_the_tpm_may_open_the_old_one_tomorrow(sealed: Disks, tpm: SoftTpm) -> None:
    sealed.lose_toweros()
    tpm.hang()
    for asked in (tpm.asked(patience=0.5), Tpm(NONE)):
        identity = sealed.boot(asked)
        assert identity.public != public_of(KEY)
        assert re.search(r"not kept: an old one may be in .*box\.sealed \(.*TPM", " ".join(identity.problems))
        assert sealed.on_esp() == {"box.sealed"} and not (sealed.toweros / "box.key").exists()
    tpm.hang(goes_on=True)
    assert sealed.boot(tpm.asked()).public == public_of(KEY)


def test_a_tpm_that_is_taken_out_brings_the_plain_copy_back(sealed: Disks) -> None:
    assert sealed.boot(Tpm(NONE)).public == public_of(KEY)
    assert sealed.on_esp() == {"box.sealed", "box.key"}


def test_a_tpm_that_seals_and_does_not_open_takes_no_plain_copy(disks: Disks, running: SoftTpm, tmp_path: Path) -> None:
    def answer(command: bytes) -> bytes:
        return running.tell(command) if code_of(command) != chip.UNSEAL else struct.pack(">HII", 0x8001, 10, 0x101)

    with a_liar(tmp_path, answer) as liar:
        assert disks.boot(liar).public == public_of(KEY)
    assert (disks.ours / "box.key").read_bytes() == text_of(KEY)


def test_a_tpm_that_opens_another_secret_takes_no_plain_copy(disks: Disks, running: SoftTpm, tmp_path: Path) -> None:
    def answer(command: bytes) -> bytes:
        said = running.tell(command)
        return said.replace(SECRET, OTHER.private_bytes_raw()) if code_of(command) == chip.UNSEAL else said

    with a_liar(tmp_path, answer) as liar:
        for _ in range(2):
            assert disks.boot(liar).public == public_of(KEY)
            assert (disks.ours / "box.key").read_bytes() == text_of(KEY)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"\0" * 500, b'{"format": 2}', b'{"format":1,"public":7,"sealed":1}']
)
def test_a_damaged_sealed_copy_is_made_again(sealed: Disks, tpm: SoftTpm, data: bytes) -> None:
    (sealed.ours / "box.sealed").write_bytes(data)
    assert sealed.boot(tpm.asked()).public == public_of(KEY) and sealed.on_esp() == {"box.sealed"}
    sealed.lose_toweros()
    assert sealed.boot(tpm.asked()).public == public_of(KEY)


def test_a_sealed_copy_that_names_another_key_is_believed_and_put_right(sealed: Disks, tpm: SoftTpm) -> None:
    path = sealed.ours / "box.sealed"
    right = path.read_text()
    path.write_text(right.replace(public_of(KEY), public_of(OTHER)))
    sealed.lose_toweros()
    assert sealed.boot(tpm.asked()).public == public_of(KEY)
    assert public_of(KEY) in path.read_text()


def test_toweros_comes_before_a_sealed_copy_of_another_key_which_is_moved_aside(sealed: Disks, tpm: SoftTpm) -> None:
    (sealed.toweros / "box.key").write_bytes(text_of(OTHER))
    assert sealed.boot(tpm.asked()).public == public_of(OTHER)
    assert sealed.on_esp() == {"box.sealed", f"box.sealed.{public_of(KEY)[:16]}"}


def test_the_plain_copy_stays_while_toweros_does_not_have_the_key(disks: Disks, tpm: SoftTpm) -> None:
    disks.lose_toweros()
    (disks.toweros / "box.key.new").mkdir()  # it cannot be written
    assert disks.boot(tpm.asked()).public == public_of(KEY)
    assert disks.on_esp() == {"box.sealed", "box.key"}


@pytest.mark.parametrize("before", ["plain", "sealed by another board"])
def test_power_lost_at_any_write_loses_no_key(tmp_path: Path, running: SoftTpm, tpm: SoftTpm, before: str) -> None:
    """Of the ESP alone, as TOWEROS may be lost with it."""
    point, cut = 0, True
    while cut:
        folder = tmp_path / str(point)
        folder.mkdir()
        disks = Disks(folder)
        for path in (disks.toweros / "box.key", disks.ours / "box.key"):
            path.write_bytes(text_of(KEY))
        if before != "plain":
            disks.boot(running.asked())

        def story(disks: Disks = disks) -> None:
            disks.boot(tpm.asked())

        cut = cut_at(point, (disks.toweros, disks.esp), story, vfat=disks.esp)
        if before == "plain":
            disks.lose_toweros()
        assert disks.boot(tpm.asked()).public == public_of(KEY), f"lost by a cut at change {point}"
        again = disks.boot(tpm.asked())
        assert again.public == public_of(KEY) and again.problems == []
        assert "box.sealed" in disks.on_esp() and "box.key" not in disks.on_esp()
        point += 1
    assert point > 4


@pytest.mark.parametrize("there", [True, False])
def test_the_agent_asks_the_tpm_of_its_machine_and_says_nothing_of_one_that_is_not_there(
    tmp_path: Path, running: SoftTpm, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    if there:
        monkeypatch.setattr(Tpm, "opened", SocketTpm.opened)
    with UpdateServer("demo-1") as server:
        made = make(7)
        server.publish(made.document, made.uki, made.addon)
        box = Box(tmp_path, server.url, server.root)
        box.install(made)
        if there:
            box.places.tpm.symlink_to(running.socket)
        agent = box.power_on()
        assert agent
        drive(agent, State.IDLE)
        agent.step()
        assert box.report(server)["degraded"] == []
        kept = {path.name for path in (box.esp / "EFI" / "toweros").iterdir()}
        assert kept == ({"box.sealed"} if there else {"box.key"})
