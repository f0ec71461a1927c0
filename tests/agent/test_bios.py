"""The verbs of the boot entries, with UEFI and with a BIOS; and what is GRUB's alone: its block, and a whole update."""

import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from toweros_agent import deadlines, rules
from toweros_agent.host.bios import grubenv
from toweros_agent.host.bios.entries import Bios
from toweros_agent.host.esp import Esp
from toweros_agent.host.room import FEW_BYTES
from toweros_agent.machine import State
from toweros_agent.nouns import Entry, Refused, Staged, Target

from gitops.assemble.boot.pe import Section, add_sections
from gitops.assemble.boot.uki import make_uki
from tests.kit.pe import a_pe_file
from tests.simulators.bios_box import BiosBox, for_grub
from tests.simulators.box import drive, make
from tests.simulators.update_server import UpdateServer


def uki(sequence: int) -> bytes:
    return make_uki(a_pe_file(), b"kernel %d" % sequence, b"initrd", "quiet")


def addon(sequence: int) -> bytes:
    return add_sections(a_pe_file(), [Section(".cmdline", b"toweros.sequence=%d\0" % sequence)])


def staged(sequence: int) -> Staged:
    digests = (sha256(data).hexdigest() for data in (uki(sequence), addon(sequence)))
    return Staged(sequence, "r", "c", *digests)


@pytest.fixture(params=[Esp, Bios], ids=["uefi", "bios"])
def esp(request: pytest.FixtureRequest, tmp_path: Path) -> Esp:
    """Release 7 is blessed."""
    (tmp_path / "EFI" / "Linux").mkdir(parents=True)
    made: Esp = request.param(tmp_path)
    gathered(made, 7)
    made.publish(staged(7))
    made.bless(7)
    return made


@pytest.fixture
def bios(tmp_path: Path) -> Bios:
    """Release 7 is blessed, 8 has its tries."""
    (tmp_path / "EFI" / "Linux").mkdir(parents=True)
    made = Bios(tmp_path)
    for sequence in (7, 8):
        gathered(made, sequence)
        made.publish(staged(sequence))
    made.bless(7)
    return made


def gathered(esp: Esp, sequence: int) -> None:
    for name, data in (("uki", uki(sequence)), ("addon", addon(sequence))):
        (esp.folder.parent / name).write_bytes(data)
    esp.stage(sequence, esp.folder.parent / "uki", esp.folder.parent / "addon")


def names(esp: Esp) -> list[str]:
    return [entry.name for entry in esp.entries()]


# --- the verbs, on both -----------------------------------------------------------------------------------------------


def test_what_is_gathered_becomes_an_entry_with_three_tries_when_it_is_published(esp: Esp) -> None:
    gathered(esp, 8)
    assert names(esp) == ["toweros-7.efi"] and not esp.intact(staged(8))
    esp.publish(staged(8))
    assert names(esp) == ["toweros-7.efi", "toweros-8+3.efi"] and esp.intact(staged(8))
    assert rules.rollback(esp.entries()) == Entry(7)


def test_an_entry_is_blessed_or_condemned_and_no_other_is(esp: Esp) -> None:
    gathered(esp, 8)
    esp.publish(staged(8))
    esp.bless(8)
    assert names(esp) == ["toweros-7.efi", "toweros-8.efi"] and esp.intact(staged(8)) and esp.intact(staged(7))
    esp.condemn(8)
    esp.condemn(8)
    esp.condemn(5)
    esp.bless(5)
    assert names(esp) == ["toweros-7.efi", "toweros-8+0-3.efi"] and esp.intact(staged(8))
    esp.bless(8)
    assert names(esp) == ["toweros-7.efi", "toweros-8.efi"], "its third try was running"


def test_an_entry_goes_with_its_files_and_another_try_takes_its_place(esp: Esp) -> None:
    gathered(esp, 8)
    esp.publish(staged(8))
    gathered(esp, 8)
    assert names(esp) == ["toweros-7.efi"]
    esp.publish(staged(8))
    esp.remove(8)
    assert names(esp) == ["toweros-7.efi"] and not esp.addon(8).parent.exists()
    with pytest.raises(Refused, match="release 7 is the only one"):
        gathered(esp, 7)
    assert names(esp) == ["toweros-7.efi"] and esp.intact(staged(7))


def test_a_uki_is_found_by_its_content(esp: Esp) -> None:
    found = esp.find(Target("uki", staged(7).uki, len(uki(7))))
    assert found and found.read_bytes() == uki(7)
    assert esp.find(Target("uki", staged(8).uki, len(uki(8)))) is None


@pytest.mark.parametrize("which", ["uki", "addon"])
def test_what_does_not_read_back_becomes_no_entry(esp: Esp, which: str) -> None:
    gathered(esp, 8)
    path = esp.addon(8) if which == "addon" else esp.folder / "toweros-8.efi.new"
    path.write_bytes(b"?" * 2048)
    with pytest.raises(Refused, match="does not give back"):
        esp.publish(staged(8))
    assert names(esp) == ["toweros-7.efi"]


@pytest.mark.parametrize("which", ["uki", "addon"])
def test_damage_since_is_seen(esp: Esp, which: str) -> None:
    path = esp.addon(7) if which == "addon" else esp.path(Entry(7))
    path.write_bytes(b"?" * path.stat().st_size)
    assert not esp.intact(staged(7))


def test_what_interrupted_work_left_goes_in_silence_and_what_is_foreign_is_named(esp: Esp) -> None:
    gathered(esp, 8)
    (esp.folder / "evil.efi").touch()
    (esp.folder / "toweros-9.efi").write_bytes(b"")
    assert esp.clean() == ["evil.efi"] and names(esp) == ["toweros-7.efi"] and esp.intact(staged(7))
    assert sorted(path.name for path in esp.folder.iterdir()) == ["toweros-7.efi", "toweros-7.efi.extra.d"]


def test_a_full_esp_is_refused_before_anything_is_written(esp: Esp) -> None:
    with pytest.raises(Refused, match="no space on the ESP"):
        esp.demand(1 << 60)
    assert names(esp) == ["toweros-7.efi"] and FEW_BYTES


# --- GRUB's block -----------------------------------------------------------------------------------------------------


def test_a_count_is_the_write_of_one_sector_in_its_place(bios: Bios, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[int, int]] = []
    real = os.pwrite

    def pwrite(handle: int, data: bytes, place: int) -> int:
        written.append((len(data), place))
        return real(handle, data, place)

    before = bios.block.stat().st_ino
    monkeypatch.setattr(os, "pwrite", pwrite)
    bios.condemn(8)
    assert written == [(512, 0)] and bios.block.stat().st_ino == before
    assert bios.block.stat().st_size == 1024 and grubenv.read(bios.block) == [Entry(8, 0, 3), Entry(7)]
    assert b"=" not in bios.block.read_bytes()[512:]


def test_a_block_that_is_cut_short_never_blesses_what_is_on_trial(bios: Bios) -> None:
    whole = bios.block.read_bytes()
    for size in (*range(60), 512, 700, 1023):
        bios.block.write_bytes(whole[:size])
        assert bios.get(7) == Entry(7) and bios.get(8) in (None, Entry(8, 3))
        bios.restore()
        assert bios.block.stat().st_size == 1024 and bios.restore() == "" and bios.get(7) == Entry(7)


@pytest.mark.parametrize(
    "text",
    [b"", b"order=\n", b"order=x\n", b"order=7 8 ../x\n", b"left_8=9\norder=8 7\n", b"left_8=-1\norder=8\n",
     b"order=" + b"1 " * 200 + b"\n", b"order=99999999999999999999\n", b"order\n", b"order=\xff\xfe\n"],
)  # fmt: skip
def test_a_block_of_nonsense_leaves_what_was_blessed(bios: Bios, text: bytes) -> None:
    bios.block.write_bytes((grubenv.HEAD + text).ljust(1024, b"#"))
    assert bios.entries() == [Entry(7)]
    assert bios.restore() and grubenv.read(bios.block) == [Entry(7)]


def test_an_entry_that_the_block_has_lost_is_not_cleaned_away(bios: Bios) -> None:
    bios.bless(8)
    bios.block.write_bytes(grubenv.encode([Entry(8)]))
    bios.clean()
    assert names(bios) == ["toweros-7.efi", "toweros-8.efi"] and bios.intact(staged(7))
    assert "does not name the entries" in bios.restore() and grubenv.read(bios.block) == [Entry(8), Entry(7)]


def test_a_sector_that_does_not_take_what_is_written_is_told(bios: Bios, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", lambda handle, data, place: len(data))
    with pytest.raises(OSError, match="does not give back"):
        bios.bless(8)
    assert names(bios) == ["toweros-7.efi", "toweros-8+3.efi"]


def test_a_uki_that_grub_could_not_start_becomes_no_entry(bios: Bios) -> None:
    line = make_uki(a_pe_file(), b"kernel 9", b"initrd", 'a="b c"')
    (bios.folder.parent / "uki").write_bytes(line)
    (bios.folder.parent / "addon").write_bytes(addon(9))
    bios.stage(9, bios.folder.parent / "uki", bios.folder.parent / "addon")
    digests = (sha256(data).hexdigest() for data in (line, addon(9)))
    with pytest.raises(Refused, match="GRUB would change"):
        bios.publish(Staged(9, "r", "c", *digests))
    assert names(bios) == ["toweros-7.efi", "toweros-8+3.efi"]


def test_the_block_holds_what_an_esp_could_hold_and_no_more() -> None:
    most = [Entry(10**9 + number, 2, 1) for number in range(12)]
    assert grubenv.parse(grubenv.encode(most)) == grubenv.newest_first(most)
    with pytest.raises(ValueError, match="more than the environment block holds"):
        grubenv.encode([*most, Entry(1)])


# --- a whole box ------------------------------------------------------------------------------------------------------


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[BiosBox]:
    """Runs release 7; 8 is offered. It has the clock of this machine, which is up for longer."""
    monkeypatch.setattr(deadlines, "give_up", lambda before: float("inf"))
    made = BiosBox(tmp_path, server.url, server.root)
    made.install(for_grub(make(7, probation=0)))
    new = for_grub(make(8, service=b"two", uki=b"MZ signed kernel 2", probation=0))
    for root, data in new.blobs.items():
        server.add_layer(data, root)
    server.publish(new.document, new.uki, new.addon)
    yield made
    made.power_off()


def updated(box: BiosBox) -> None:
    agent = box.power_on()
    assert agent and agent.boot.sequence == 7
    drive(agent, State.REBOOTING)


def test_a_box_with_a_bios_takes_an_update_and_says_that_no_firmware_checked_it(
    box: BiosBox, server: UpdateServer
) -> None:
    updated(box)
    agent = box.power_on()
    assert agent and agent.trial and agent.boot.entry == "toweros-8+2-1.efi"
    drive(agent, State.IDLE)
    drive(agent, State.IDLE)
    report = box.report(server)
    assert (report["health"], report["degraded"], report["firmware"]) == ("Healthy", [], None)
    assert (report["entry"], report["rollback"]) == ("toweros-8.efi", 7)
    assert grubenv.read(box.block) == [Entry(8), Entry(7)]
    agent.upkeep.boot_loader.named = "ab" * 32
    assert not agent.upkeep.boot_loader.due() and not agent.upkeep.boot_loader.pending, "no systemd-boot is brought"


def test_a_release_that_hangs_loses_its_tries_and_is_told(box: BiosBox, server: UpdateServer) -> None:
    updated(box)
    box.hang = True
    agent = box.power_on()
    assert agent and agent.boot.sequence == 7
    drive(agent, State.IDLE)
    assert "its tries are used up" in agent.history.memory.failures[-1].reason


@pytest.mark.parametrize("damage", ["block", "config", "uki"])
def test_damage_is_told_and_put_right(box: BiosBox, server: UpdateServer, damage: str) -> None:
    updated(box)
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    spoil: dict[str, Callable[[], object]] = {
        "block": lambda: box.block.write_bytes(b"\0" * 1024),
        "config": lambda: (box.linux / "toweros-8.efi.extra.d" / "grub.cfg").write_bytes(b"linux (hd0)1+1\n"),
        "uki": lambda: (box.linux / "toweros-8.efi").write_bytes(box.root.joinpath("watchdog").read_bytes() or b"?"),
    }
    spoil[damage]()
    drive(agent, State.IDLE)
    drive(agent, State.IDLE)
    told = {
        "block": "environment block of GRUB",
        "config": "what GRUB does for release 8",
        "uki": "UKI of toweros-8.efi",
    }
    assert told[damage] in str(box.report(server)["degraded"])
    again = box.power_on()
    assert again and again.boot.entry == "toweros-8.efi"


def test_a_cut_that_empties_the_block_in_a_trial_ends_at_the_last_good_entry_without_a_verdict(
    box: BiosBox, server: UpdateServer
) -> None:
    updated(box)
    trial = box.power_on()
    assert trial and trial.trial
    box.block.write_bytes(b"")
    agent = box.power_on()
    assert agent and agent.boot.entry == "toweros-7.efi"
    drive(agent, State.IDLE)
    assert agent.history.memory.failures == [] and grubenv.read(box.block) == [Entry(7)]
