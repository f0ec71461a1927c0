"""What decides about the next boot beside the entries: compared with what is known, put right, and told; and what a
power cut in a trial says of a release, which is nothing."""

import struct
from pathlib import Path

import pytest
from toweros_agent.firmware.efivars import LOADER
from toweros_agent.host import loader
from toweros_agent.loop import Agent
from toweros_agent.nouns import Verdict

from gitops.assemble.formats.esp import LOADER_CONF
from tests.simulators.box import SIGNED, Box, State, drive, make
from tests.simulators.update_server import UpdateServer


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    """Runs release 7; the server offers 8."""
    made = Box(tmp_path, server.url, server.root)
    made.install(make(7, probation=0))
    new = make(8, service=b"two", uki=SIGNED + b"kernel 2", probation=0)
    for root, data in new.blobs.items():
        server.add_layer(data, root)
    server.publish(new.document, new.uki, new.addon)
    return made


def settled(box: Box, sequence: int) -> Agent:
    """The box runs this release, and its agent has looked around."""
    agent = box.power_on()
    assert agent and agent.boot.sequence == sequence
    drive(agent, State.IDLE)
    return agent


def updated(box: Box) -> None:
    drive(settled(box, 7), State.REBOOTING)
    settled(box, 8)


def started(box: Box, sequence: int) -> Agent:
    """As if the boot loader had been told to start this entry."""
    entry = next(entry for entry in box.loader_entries() if entry.sequence == sequence)
    return box.start(entry)


def variable(box: Box, name: str, words: str) -> Path:
    path = box.root / "efivars" / f"{name}-{LOADER}"
    path.write_bytes(struct.pack("<I", 7) + (words + "\0").encode("utf-16-le"))
    return path


def test_the_loaders_settings_are_those_of_a_new_disk() -> None:
    assert loader.CONF == LOADER_CONF


def test_a_pin_to_an_old_release_is_taken_off_and_is_no_verdict_on_the_new_one(box: Box, server: UpdateServer) -> None:
    updated(box)
    conf = box.esp / "loader" / "loader.conf"
    conf.write_text("default toweros-7.efi\n")
    agent = started(box, 7)
    drive(agent, State.IDLE)
    assert conf.read_text() == LOADER_CONF and sorted(conf.parent.iterdir()) == [conf]
    (failure,) = agent.history.memory.failures
    assert failure.verdict == Verdict.INDETERMINATE and "default toweros-7.efi" in failure.reason
    report = box.report(server)
    assert report["health"] == "Degraded" and "loader.conf was not as it must be" in str(report["degraded"])
    agent.history.memory.failures[:] = [type(failure)(**vars(failure) | {"time": failure.time - 100})]
    drive(agent, State.REBOOTING)
    settled(box, 8)
    assert box.entries() == ["toweros-7.efi", "toweros-8.efi"]


def test_settings_of_an_older_image_are_brought_up_to_date_without_a_word(box: Box, server: UpdateServer) -> None:
    (box.esp / "loader" / "loader.conf").write_text(loader.CONFS_BEFORE[0])
    settled(box, 7)
    assert (box.esp / "loader" / "loader.conf").read_text() == LOADER_CONF
    assert box.report(server)["degraded"] == []


def test_loader_variables_are_removed_and_the_system_token_stays(box: Box, server: UpdateServer) -> None:
    files = [variable(box, name, "toweros-7.efi") for name in loader.SET_BY_OTHERS]
    token = variable(box, "LoaderSystemToken", "secret")
    agent = settled(box, 7)
    assert not any(path.exists() for path in files) and token.exists()
    for name in loader.SET_BY_OTHERS:
        assert f"the variable {name} is removed: it said 'toweros-7.efi'" in box.report(server)["degraded"]  # type: ignore[operator]
    files[0].write_bytes(bytes(6))
    drive(agent, State.FETCHING)
    assert not files[0].exists(), "not at the start alone"


def test_files_of_others_on_the_esp_are_removed_and_named(box: Box, server: UpdateServer) -> None:
    folder = box.linux / "toweros-7.efi.extra.d"
    foreign = [box.linux / "evil.efi", box.linux / "TOWERO~1.EFI", folder / "old.addon.efi"]
    foreign += [box.esp / name / "evil.conf" for name in loader.FOREIGN]
    left = [box.linux / "toweros-9.efi.new", box.linux / "toweros-9+3.efi"]
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"MZ")
    left[0].write_bytes(b"half")
    left[1].touch()
    settled(box, 7)
    told = str(box.report(server)["degraded"])
    assert not any(path.exists() for path in (*foreign, *left))
    assert all(path.name in told for path in foreign) and "toweros-9" not in told
    assert box.bootable() == [7]


def test_what_cannot_be_put_right_keeps_the_box_degraded(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("toweros_agent.firmware.efivars.Variables.delete", broken)
    variable(box, "LoaderEntryDefault", "toweros-6.efi")
    agent = settled(box, 7)
    assert "cannot put the boot loader right: [Errno 30] Read-only file system" in str(box.report(server)["degraded"])
    drive(agent, State.FETCHING)


def test_an_older_releases_addon_beside_the_only_entry_never_costs_the_entry(box: Box, server: UpdateServer) -> None:
    """The agent believed the addon's sequence, and removed what it had been started from."""
    (box.linux / "toweros-7.efi").rename(box.linux / "toweros-9.efi")
    (box.linux / "toweros-7.efi.extra.d").rename(box.linux / "toweros-9.efi.extra.d")
    agent = started(box, 9)
    assert (agent.boot.sequence, agent.boot.started) == (7, 9)
    drive(agent, State.IDLE)
    report = box.report(server)
    assert report["entry"] == "toweros-9.efi" and box.entries() == ["toweros-9.efi"]
    assert "toweros-9.efi starts release 7" in str(report["degraded"])
    drive(agent, State.REBOOTING)
    assert box.entries() == ["toweros-8+3.efi", "toweros-9.efi"]


def test_the_only_entry_is_not_replaced_by_itself(box: Box) -> None:
    agent = settled(box, 7)
    (box.linux / "toweros-7.efi").rename(box.linux / "toweros-8.efi")
    (box.linux / "toweros-7.efi.extra.d").rename(box.linux / "toweros-8.efi.extra.d")
    drive(agent, State.STAGING)
    agent.step()
    assert agent.state == State.IDLE and "cannot be replaced by itself" in agent.error
    assert box.entries() == ["toweros-8.efi"]


def test_four_power_cuts_in_a_row_hold_no_good_release(box: Box, server: UpdateServer) -> None:
    drive(settled(box, 7), State.REBOOTING)
    for _ in range(3):
        trial = box.power_on()
        assert trial and trial.boot.sequence == 8
        assert trial.step() == 0 and trial.state == State.PROBATION  # and power is lost
    agent = settled(box, 7)
    memory = agent.history.memory
    ((content, since),) = memory.cut_at.items()
    assert memory.failures == [] and memory.cuts
    drive(agent, State.IDLE)
    assert "waits for 60 s: power was lost in its trial, which does not count" in agent.error
    again = box.agent()
    drive(again, State.IDLE)
    drive(again, State.IDLE)
    assert "waits for 60 s" in again.error and again.history.memory.cut_at == {content: since}, "it is remembered"
    again.history.memory.cut_at[content] = since - 100
    drive(again, State.REBOOTING)
    trial = box.power_on()
    assert trial and trial.boot.sequence == 8
    trial.step()
    settled(box, 8)
    assert box.bootable() == [7, 8]


def test_a_release_that_always_dies_without_a_word_is_not_tried_for_ever(box: Box, server: UpdateServer) -> None:
    agent = settled(box, 7)
    agent.history.memory.cuts = {make(8, service=b"two", uki=SIGNED + b"kernel 2", probation=0).content: 4}
    drive(agent, State.REBOOTING)
    for _ in range(3):
        trial = box.power_on()
        assert trial
        trial.step()
    (failure,) = settled(box, 7).history.memory.failures
    assert failure.verdict == Verdict.INDETERMINATE and "tries are used up" in failure.reason


def test_a_reset_that_the_device_admits_is_no_loss_of_power(box: Box) -> None:
    drive(settled(box, 7), State.REBOOTING)
    for _ in range(3):
        trial = box.power_on()
        assert trial
        trial.step()
    device = box.root / "sys" / "class" / "watchdog" / "watchdog0"
    device.mkdir(parents=True)
    (device / "bootstatus").write_text("32\n")
    memory = settled(box, 7).history.memory
    assert memory.cuts == {} and "the watchdog reset it" in memory.failures[0].reason
