"""systemd-boot follows the release that runs; whatever the new one does, and wherever power is lost, the box starts."""

import json
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from toweros_agent.firmware import boot_loader
from toweros_agent.firmware.efivars import LOADER
from toweros_agent.loop import Agent

from gitops.assemble.boot.pe import signed_digest
from gitops.sign import Signer, keys, secureboot
from tests.kit.pe import a_pe_file
from tests.kit.published import PASSPHRASE, shared_keys
from tests.simulators.box import SIGNED, Box, State, drive, make
from tests.simulators.firmware import SignedVariables
from tests.simulators.power import EVERY, cut_at
from tests.simulators.update_server import UpdateServer


def a_loader(code: bytes, folder: Path | None = None) -> bytes:
    """A program that the simulated firmware takes for a signed one, and that is one."""
    program = a_pe_file(code)
    return Signer.open(folder or shared_keys()).sign_boot(SIGNED.ljust(60, b"\0") + program[60:])


OLD, NEW = a_loader(b"257"), a_loader(b"258")


@dataclass
class Story:
    """A box that runs release 7 under the systemd-boot of before; release 8 names another one."""

    box: Box
    server: UpdateServer

    def offer(self, loader: bytes = NEW, named: bytes = NEW, sequence: int = 8) -> None:
        made = make(sequence, probation=0, loader=signed_digest(named))
        for root, data in made.blobs.items():
            self.server.add_layer(data, root)
        self.server.publish(made.document, made.uki, made.addon, loader=loader)

    def boot(self, *states: State) -> Agent:
        agent = self.box.power_on()
        assert agent
        drive(agent, *states)
        return agent

    def idle(self) -> Agent:
        agent = self.boot(State.IDLE)
        agent.step()
        return agent

    def degraded(self) -> list[str]:
        return [str(each) for each in self.box.report(self.server)["degraded"]]  # type: ignore[attr-defined]

    @property
    def variables(self) -> list[str]:
        return [path.name.partition("-")[0] for path in (self.box.root / "efivars").iterdir()]


def a_story(folder: Path, server: UpdateServer) -> Story:
    box = Box(folder, server.url, server.root)
    box.install(make(6, service=b"zero", probation=0))
    box.install(make(7, probation=0, loader=signed_digest(OLD)))
    box.boot_loader.write_bytes(OLD)
    return Story(box, server)


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    with UpdateServer("demo-1") as server:
        made = a_story(tmp_path / "box", server)
        made.offer()
        yield made


def test_another_boot_loader_comes_after_the_bless_and_takes_its_place_when_it_has_started_the_box(
    story: Story,
) -> None:
    box = story.box
    story.boot(State.REBOOTING)
    agent = story.boot(State.IDLE)
    assert agent.boot.sequence == 8 and box.boot_loader.read_bytes() == OLD, "its trial was under the old one"
    assert box.report(story.server)["health"] == "Progressing", "others wait until this box is through"
    drive(agent, State.REBOOTING)
    assert box.boot_loader.read_bytes() == OLD, "which stays where it is until the new one has started this box"
    agent = story.idle()
    assert agent.boot.sequence == 8 and box.boot_loader.read_bytes() == NEW
    report = box.report(story.server)
    assert report["health"] == "Healthy", report["degraded"]
    assert "BootNext" not in story.variables
    assert not (box.boot_loader.parent / "TRIALX64.EFI").exists()
    options = [path.read_bytes() for path in (box.root / "efivars").glob("Boot0*")]
    assert len(options) == 2, "systemd-boot and the way back"
    agent = story.idle()
    assert agent.state == State.IDLE and box.rebooted == 0, "and that is all"


@pytest.mark.parametrize("does", ["hangs", "is refused by the firmware"])
def test_a_boot_loader_that_does_not_start_this_box_is_given_up_and_told(
    story: Story, does: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, bad = story.box, NEW if does == "hangs" else NEW.replace(SIGNED, b"MZ".ljust(len(SIGNED), b"\0"))
    monkeypatch.setattr(boot_loader, "PAUSE", 0.0)
    box.runs = lambda program: program != NEW
    story.offer(loader=bad, named=bad)
    story.boot(State.REBOOTING)
    for tries in range(1, boot_loader.MAX_TRIES + 1):
        agent = story.boot(State.REBOOTING)
        record = json.loads((box.disk / "state" / "loader.json").read_text())
        assert agent.boot.sequence == 8 and record["tries"] == tries
        assert box.boot_loader.read_bytes() == OLD
    agent = story.idle()
    assert (agent.state, agent.boot.sequence, box.boot_loader.read_bytes()) == (State.IDLE, 8, OLD)
    words = "systemd-boot stays as it is: in 3 tries the one that the release names did not start this box"
    report = box.report(story.server)
    assert report["health"] == "Degraded" and words in story.degraded()
    box.runs = lambda program: True
    story.offer(loader=OLD, named=OLD, sequence=9)
    drive(agent, State.REBOOTING)
    story.idle()
    assert box.report(story.server)["health"] == "Healthy", "Git went back to the old one"


def test_between_two_tries_a_box_is_of_use_for_an_hour(story: Story) -> None:
    story.box.runs = lambda program: program != NEW
    story.boot(State.REBOOTING)
    story.boot(State.REBOOTING)
    agent = story.idle()
    for _ in range(3):
        agent.step()
    record = json.loads((story.box.disk / "state" / "loader.json").read_text())
    assert agent.state == State.IDLE and record["tries"] == 1


def other_program(story: Story) -> bytes:
    return a_loader(b"evil")


def unsigned(story: Story) -> bytes:
    return SIGNED.ljust(60, b"\0") + a_pe_file(b"258")[60:]


def of_strangers(story: Story) -> bytes:
    folder = story.box.root / "strangers"
    keys.init(folder, PASSPHRASE)
    return a_loader(b"258", folder)


def flipped(story: Story) -> bytes:
    return NEW[:1030] + bytes([NEW[1030] ^ 1]) + NEW[1031:]


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (other_program, "loader.efi is another program than the release names"),
        (unsigned, "loader.efi is no signed program"),
        (of_strangers, "loader.efi is not signed by what the firmware trusts now, and later"),
        (flipped, "loader.efi is not signed by what the firmware trusts now, and later"),
    ],
)
def test_a_boot_loader_that_the_release_does_not_name_or_we_did_not_sign_is_refused(
    story: Story, what: Callable[[Story], bytes], why: str
) -> None:
    box = story.box
    SignedVariables(box.places.efivars).enrol(shared_keys())
    signed = Signer.open(shared_keys()).sign_boot(SIGNED.ljust(60, b"\0") + a_pe_file(b"kernel")[60:])
    shutil.rmtree(box.linux)
    box.linux.mkdir()
    runs = make(8, probation=0, uki=signed, loader=signed_digest(NEW))
    box.install(make(7, service=b"zero", probation=0, uki=signed))
    box.install(runs)
    story.server.publish(runs.document, runs.uki, runs.addon, loader=what(story))
    agent = story.idle()
    assert agent.state == State.IDLE and box.boot_loader.read_bytes() == OLD and "BootNext" not in story.variables
    assert f"systemd-boot stays as it is: {why}" in story.degraded()


def test_a_box_that_is_held_does_not_start_again_for_a_boot_loader(story: Story) -> None:
    story.boot(State.REBOOTING)
    made = make(8, probation=0, loader=signed_digest(NEW))
    story.server.publish(made.document, made.uki, made.addon, loader=NEW, custom={"held": "ada: the mast"})
    agent = story.idle()
    assert agent.state == State.IDLE and "BootNext" not in story.variables
    assert story.box.report(story.server)["health"] == "Healthy"


def test_a_firmware_that_takes_no_variable_keeps_its_boot_loader_and_says_so(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    story.boot(State.REBOOTING)
    monkeypatch.setattr(boot_loader, "start_once", refuse)
    agent = story.idle()
    assert agent.state == State.IDLE and story.box.boot_loader.read_bytes() == OLD
    said = "systemd-boot stays as it is: another cannot be tried: [Errno 28] No space left on device"
    assert said in story.degraded()


def test_a_damaged_boot_loader_is_put_right_without_a_start_more(story: Story) -> None:
    box = story.box
    story.boot(State.REBOOTING)
    story.boot(State.REBOOTING)
    story.idle()
    for damage in (b"", bytes(700), None):
        box.boot_loader.unlink() if damage is None else box.boot_loader.write_bytes(damage)
        agent = story.idle()
        assert (agent.state, agent.boot.sequence) == (State.IDLE, 7), "the way back"
        assert box.boot_loader.read_bytes() == NEW, "it has started this box before"
    assert secureboot.verify(box.boot_loader.read_bytes(), shared_keys() / "db.crt")


def test_one_that_starts_an_older_release_takes_nobodys_place(story: Story) -> None:
    """As one would whose order of entries is another: what it started does not name it."""
    box = story.box
    story.boot(State.REBOOTING)
    story.boot(State.REBOOTING)
    (box.linux / "toweros-8.efi").rename(box.linux / "toweros-8.hidden")
    agent = story.boot(State.IDLE)
    assert agent.boot.sequence == 7
    agent.step()
    assert box.boot_loader.read_bytes() == OLD
    said = (box.root / "efivars" / f"LoaderImageIdentifier-{LOADER}").read_bytes()
    assert said == struct.pack("<I", 6) + (boot_loader.TRIAL_PATH + "\0").encode("utf-16-le")


def follow(story: Story) -> None:
    """From whatever there is on: until the new one is there."""
    for _ in range(6):
        agent = story.box.power_on()
        assert agent
        agent.upkeep.boot_loader._next = 0.0  # an hour later
        if drive(agent, State.IDLE, State.REBOOTING) == State.IDLE:
            agent.step()
            if agent.state == State.IDLE and agent.boot.sequence == 8:
                return


def test_power_lost_at_any_change_leaves_a_box_that_starts_and_gets_there(tmp_path: Path) -> None:
    with UpdateServer("demo-1") as server:
        point = 0
        while True:
            story = a_story(tmp_path / str(point), server)
            story.offer()
            box = story.box
            story.boot(State.REBOOTING)
            drive(agent, State.IDLE) if (agent := box.power_on()) else None
            disks = (box.disk, box.esp, box.root / "efivars")
            cut = cut_at(point, disks, lambda story=story: follow(story), vfat=box.esp)
            assert box.boot_loader.read_bytes() in (OLD, NEW), f"neither of both after a cut at change {point}"
            assert box.power_on(), f"nothing boots after a cut at change {point}"
            follow(story)
            assert box.boot_loader.read_bytes() == NEW, f"after a cut at change {point}"
            assert box.bootable() == [7, 8]
            shutil.rmtree(box.root)
            if not cut:
                break
            point += EVERY
        assert point > 10
