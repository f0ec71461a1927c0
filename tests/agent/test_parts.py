"""The agent's parts by themselves: hash trees, states, rules, boot variables, settings."""

import re
import struct
import subprocess
import uuid
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toweros_agent import machine, rules
from toweros_agent.firmware.efivars import GLOBAL, Partition, Variables, keep_fallback, load_option
from toweros_agent.host.disk import Disk
from toweros_agent.host.memory import Memory
from toweros_agent.host.verity import hash_tree, seal, tree_size
from toweros_agent.machine import TRANSITIONS, Event, State
from toweros_agent.nouns import Entry, Failure, Layer, Offer, Refused, Release, Staged, Target, Verdict
from toweros_agent.settings import Places, load

from tests.simulators.box import make, pad

# --- verity ---


@pytest.mark.parametrize("blocks", [1, 2, 127, 128, 129, 300, 128 * 128 + 1])
def test_our_tree_is_veritysetups_tree(tmp_path: Path, blocks: int) -> None:
    data = b"".join(sha256(str(block).encode()).digest() * 128 for block in range(blocks))
    file = tmp_path / "layer"
    file.write_bytes(data)
    command = ["veritysetup", "format", "--no-superblock", "--salt=-", f"--hash-offset={len(data)}", file, file]
    talk = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    root, tree = hash_tree(BytesIO(data), len(data), lambda: None)
    assert re.search(r"Root hash:\s+(\w+)", talk)[1] == root  # type: ignore[index]
    assert file.read_bytes() == data + tree
    assert tree_size(len(data)) == len(tree)


def test_a_flipped_byte_is_no_layer(tmp_path: Path) -> None:
    data = pad(b"x" * 50_000)
    root, tree = hash_tree(BytesIO(data), len(data), lambda: None)
    file = tmp_path / "layer"
    file.write_bytes(data)
    seal(file, Layer(root, len(data)), lambda: None)
    assert file.read_bytes() == data + tree
    file.write_bytes(data[:100] + b"y" + data[101:])
    with pytest.raises(Refused, match="not what its name says"):
        seal(file, Layer(root, len(data)), lambda: None)


# --- states ---


def test_the_drawing_is_the_code() -> None:
    drawn = re.findall(r"^ +(\w+) +--(\w+)-*> (\w+)", machine.__doc__ or "", re.MULTILINE)
    assert {(State(a), Event(event)): State(b) for a, event, b in drawn} == TRANSITIONS


def test_only_a_verdict_a_staged_release_or_what_nothing_helps_leads_to_a_reboot() -> None:
    ways = {event for (_, event), to in TRANSITIONS.items() if to == State.REBOOTING}
    assert ways == {Event.GO_BACK, Event.STAGED, Event.DESPAIR, Event.TRY_LOADER, Event.NETBOOT}
    assert all(state != State.REBOOTING for state, _ in TRANSITIONS)


# --- rules ---

NOW = 1_800_000_000


def _offer(sequence: int, content: str = "b", uki: str = "u") -> Offer:
    target = Target("x", uki, 1)
    return Offer(sequence, content, "main@sha1:0", 0, target, target, target, NOW)


def _failure(verdict: Verdict, time: int, content: str = "b", uki: str = "u") -> Failure:
    return Failure(8, "r", content, uki, verdict, "reason", time)


RUNNING = Release("demo-1", 7, "r7", "a", {}, 1, ())


@pytest.mark.parametrize(
    ("offer", "failures", "take"),
    [
        (_offer(8), [], True),
        (replace(_offer(8), held="ada: storm"), [], False),
        (replace(_offer(9, "a"), held="ada: storm"), [], False),
        (_offer(7, "a"), [], False),
        (_offer(9, "a"), [], False),
        (_offer(8), [_failure(Verdict.FAILED, NOW - 10**6)], False),
        (_offer(9), [_failure(Verdict.FAILED, NOW - 10**6)], False),
        (_offer(9, uki="new"), [_failure(Verdict.FAILED, NOW - 10**6)], True),
        (_offer(9, "c"), [_failure(Verdict.FAILED, NOW)], True),
        (_offer(8), [_failure(Verdict.INDETERMINATE, NOW - 59)], False),
        (_offer(8), [_failure(Verdict.INDETERMINATE, NOW - 60)], True),
        (_offer(8), [_failure(Verdict.INDETERMINATE, NOW - 599)] * 2, False),
        (_offer(8), [_failure(Verdict.INDETERMINATE, NOW - 600)] * 2, True),
        (_offer(8), [_failure(Verdict.INDETERMINATE, NOW - 3600)] * 3, True),
        (_offer(8), [_failure(Verdict.INDETERMINATE, NOW - 10**6)] * 4, False),
        (_offer(8), [_failure(Verdict.INDETERMINATE, NOW + 10**6)], True),
        (_offer(8), [_failure(Verdict.INDETERMINATE, NOW)], False),
    ],
)
def test_when_an_offer_is_taken(offer: Offer, failures: list[Failure], take: bool) -> None:
    assert (rules.decide(offer, RUNNING, failures, NOW) is None) == take


@pytest.mark.parametrize(
    ("cut", "take"),
    [
        (rules.NO_CUT, True),
        (rules.Cut(1, NOW - 59), False),
        (rules.Cut(1, NOW - 60), True),
        (rules.Cut(2, NOW - 599), False),
        (rules.Cut(4, NOW - 3600), True),
        (rules.Cut(4, NOW + 1), True),
        (rules.Cut(4), True),
    ],
    ids=["none", "first", "first-over", "second", "fourth-over", "clock-jumped", "of-an-older-agent"],
)
def test_after_loss_of_power_there_is_a_pause_and_no_end(cut: rules.Cut, take: bool) -> None:
    assert (rules.decide(_offer(8), RUNNING, [], NOW, (), cut) is None) == take
    again = replace(_offer(8), retry=("ada: x",))
    assert rules.decide(again, RUNNING, [], NOW, (), cut) is None, "whoever says why need not wait"


@pytest.mark.parametrize(
    ("tries", "cut", "why"),
    [
        (1, rules.Cut(2, NOW), "waits for 600 s: power was lost"),
        (2, rules.Cut(1, NOW), "waits for 600 s: reason"),
        (2, rules.Cut(1, NOW - 60), "waits for 600 s: reason"),
    ],
    ids=["power-longer", "failure-longer", "power-over"],
)
def test_where_power_is_bad_and_a_release_hangs_the_longer_pause_holds(tries: int, cut: rules.Cut, why: str) -> None:
    failures = [_failure(Verdict.INDETERMINATE, NOW)] * tries
    assert why in (rules.decide(_offer(8), RUNNING, failures, NOW, (), cut) or "")


@pytest.mark.parametrize("sequence", [6, 7])
def test_an_offer_that_is_not_newer_is_refused(sequence: int) -> None:
    with pytest.raises(Refused, match="not newer"):
        rules.decide(_offer(sequence), RUNNING, [], NOW)


@pytest.mark.parametrize(
    ("entry", "intact", "why", "changed", "reason"),
    [
        (Entry(8, 2, 1), False, "", "loader.conf", "read back"),
        (Entry(8, 2, 1), True, "", "", "refused by the firmware"),
        (Entry(8), True, "", "", "refused by the firmware"),
        (Entry(8), True, "", "loader.conf", "another entry was started: loader.conf"),
        (Entry(8, 0, 3), True, "", "loader.conf", "tries are used up"),
        (Entry(8, 0, 3), True, "no disk", "", "no disk"),
        (Entry(8, 3), True, "", "", "never tried"),
        (Entry(8, 2, 1), True, "no disk", "", "no disk"),
        (Entry(8, 3), True, "", "loader.conf", "another entry was started: loader.conf"),
    ],
)
def test_why_a_release_does_not_run(entry: Entry, intact: bool, why: str, changed: str, reason: str) -> None:
    assert reason in rules.diagnose(entry, intact, why, changed)


@pytest.mark.parametrize(
    ("entries", "back"),
    [
        ([Entry(7)], "toweros-7.efi"),
        ([Entry(13), Entry(14, 3)], "toweros-13.efi"),
        ([Entry(13), Entry(14)], "toweros-13.efi"),
        ([Entry(14), Entry(13), Entry(12)], "toweros-13.efi"),
        ([Entry(12), Entry(13), Entry(14, 0, 3)], "toweros-12.efi"),
        ([Entry(13), Entry(14, 0, 3)], "toweros-13.efi"),
        ([], None),
    ],
)
def test_the_way_back(entries: list[Entry], back: str | None) -> None:
    entry = rules.rollback(entries)
    assert (entry and entry.name) == back


BEST = Entry(6), Entry(7)


@pytest.mark.parametrize(
    ("entries", "staged", "failures", "stay"),
    [
        ([Entry(5), *BEST, Entry(8, 3)], [8], [], {6, 7, 8}),
        ([*BEST, Entry(9)], [], [], {6, 7}),
        ([*BEST, Entry(9)], [9], [], {7, 9}),
        ([Entry(6, 3), Entry(7)], [], [], {7}),
        ([Entry(7)], [6, 7], [], {7}),
        ([Entry(7)], [], [(8, Verdict.INDETERMINATE)], {7, 8}),
        ([Entry(7)], [], [(8, Verdict.FAILED)], {7}),
        ([Entry(7)], [], [(8, Verdict.INDETERMINATE), (9, Verdict.FAILED)], {7}),
        ([Entry(7)], [], [(8, Verdict.INDETERMINATE), (9, Verdict.INDETERMINATE)], {7, 9}),
    ],
)
def test_which_entries_stay(
    entries: list[Entry], staged: list[int], failures: list[tuple[int, Verdict]], stay: set[int]
) -> None:
    """Seven runs."""
    known = {sequence: Staged(sequence, "", "", "", "") for sequence in staged}
    said = [replace(_failure(verdict, NOW), sequence=sequence) for sequence, verdict in failures]
    assert rules.keep(entries, 7, known, said) == stay


entry_sets = st.lists(
    st.builds(Entry, st.integers(1, 9), st.none() | st.integers(0, 3)), unique_by=lambda e: e.sequence
)


@given(entry_sets, st.integers(1, 9), st.sets(st.integers(1, 9)))
@settings(max_examples=200)
def test_what_stays_includes_what_runs_and_the_best_way_back(
    entries: list[Entry], running: int, known: set[int]
) -> None:
    staged = {sequence: Staged(sequence, "", "", "", "") for sequence in known}
    stay = rules.keep(entries, running, staged, [])
    assert running in stay
    older = [entry.sequence for entry in entries if entry.plain and entry.sequence < running]
    assert not older or stay & {entry.sequence for entry in entries if entry.plain and entry.sequence != running}
    assert all(sequence <= running or sequence in known for sequence in stay)


@given(st.integers(0, 10**9), st.none() | st.integers(0, 9), st.integers(0, 9))
def test_entry_names_read_as_they_are_written(sequence: int, left: int | None, done: int) -> None:
    entry = Entry(sequence, left, done if left is not None else 0)
    assert Entry.parse(entry.name) == entry


@given(st.binary(max_size=400))
def test_no_bytes_break_the_readers(data: bytes) -> None:
    with pytest.raises(Refused):
        Release.parse(data)
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        Memory.parse(data)


# --- disk ---


def test_collecting_keeps_what_a_kept_release_needs(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    old, new = make(7), make(8, service=b"two")
    for made in (old, new):
        disk.add_release(made.document, Release.parse(made.document))
        for root in made.blobs:
            (disk.layers / root).touch()
    (disk.layers / "0.part").touch()
    disk.collect([Release.parse(new.document)])
    assert {path.name for path in disk.layers.iterdir()} == set(new.blobs)
    assert [path.stem for path in disk.releases.iterdir()] == [new.digest]


# --- efivars ---

PARTITION = Partition(1, 2048, 131072, uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"))


def _variables(folder: Path) -> Variables:
    foreign = load_option("PXE", PARTITION, r"\pxe.efi")
    for name, value in (("Boot0000", foreign), ("Boot0001", foreign), ("BootOrder", struct.pack("<HH", 1, 0))):
        (folder / f"{name}-{GLOBAL}").write_bytes(struct.pack("<I", 7) + value)
    return Variables(folder)


def test_the_firmware_tries_the_boot_loader_and_then_the_last_good_uki(tmp_path: Path) -> None:
    variables = _variables(tmp_path)
    keep_fallback(variables, PARTITION, "toweros-13.efi")
    assert variables.order() == [2, 3, 1, 0]
    fallback = variables.options()[3]
    assert r"\EFI\Linux\toweros-13.efi".encode("utf-16-le") in fallback
    assert PARTITION.guid.bytes_le in fallback
    keep_fallback(variables, PARTITION, "toweros-14.efi")
    assert variables.order() == [2, 3, 1, 0]
    assert r"toweros-14.efi".encode("utf-16-le") in variables.options()[3]


def test_variables_are_written_only_when_they_change(tmp_path: Path) -> None:
    variables = _variables(tmp_path)
    keep_fallback(variables, PARTITION, "toweros-13.efi")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    keep_fallback(variables, PARTITION, "toweros-13.efi")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_load_option_reads_back_with_another_reader() -> None:
    devicepath = pytest.importorskip("virt.firmware.efi.bootentry")
    entry = devicepath.BootEntry(data=load_option("TowerOS", PARTITION, r"\EFI\BOOT\BOOTX64.EFI"))
    assert str(entry.title) == "TowerOS"
    assert "BOOTX64.EFI" in str(entry.devicepath)


# --- settings ---


def test_drop_ins_by_name_and_the_last_word_wins(tmp_path: Path) -> None:
    places = Places(run=tmp_path / "run", etc=tmp_path / "etc", lib=tmp_path / "lib")
    for folder in (places.run, places.etc, places.lib):
        (folder / "agent.d").mkdir(parents=True)
    (places.lib / "agent.d" / "10-base.toml").write_text("poll = 60\n")
    (places.etc / "agent.d" / "20-site.toml").write_text('mirrors = ["http://192.0.2.7/"]\n')
    (places.run / "agent.d" / "15-mine.toml").write_text('poll = 5\nserver = "http://192.0.2.1:8080/"\n')
    (places.run / "agent.d" / "90-odd.toml").write_text("colour = 1\n")
    settings = load(places, "http://192.0.2.9")
    assert settings.bases == ("http://192.0.2.7", "http://192.0.2.1:8080")
    assert settings.poll == 5
    assert settings.problems == ("90-odd.toml: unknown key colour",)
