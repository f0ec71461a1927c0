"""A trial whose boot entry a power cut took: the entry is taken back, or the trial ends; it is never a blessed run."""

import json
import time
from hashlib import sha256
from pathlib import Path

import pytest
from toweros_agent.host import renaming
from toweros_agent.host.boot import Boot
from toweros_agent.host.esp import Esp
from toweros_agent.host.started import ANOTHER, GONE, Started, first_start, take_back
from toweros_agent.loop import Agent
from toweros_agent.nouns import Entry, Staged, Verdict

from tests.simulators.box import SIGNED, Box, State, drive, make
from tests.simulators.update_server import UpdateServer

NEW = SIGNED + b"kernel 2"


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    """Runs release 7 and has taken 8, which was not started yet."""
    made = Box(tmp_path, server.url, server.root)
    made.install(make(7, probation=0))
    new = make(8, service=b"two", uki=NEW, probation=0)
    for root, data in new.blobs.items():
        server.add_layer(data, root)
    server.publish(new.document, new.uki, new.addon)
    agent = made.power_on()
    assert agent
    drive(agent, State.REBOOTING)
    return made


def checked(box: Box, *, gathered: bytes) -> Agent:
    """A first try of 8 of whose two records fsck emptied the one that was started."""
    agent = box.power_on()
    assert agent and agent.boot.entry == "toweros-8+2-1.efi"
    (box.linux / agent.boot.entry).write_bytes(b"")
    (box.linux / "toweros-8.efi.new").write_bytes(gathered)
    return box.agent()


def test_the_emptied_entry_is_taken_back_with_its_tries_and_its_trial_goes_on(box: Box) -> None:
    agent = checked(box, gathered=NEW)
    assert agent.trial and agent.watchdog.until, "a trial, with an end"
    assert box.entries() == ["toweros-7.efi", "toweros-8+2-1.efi"]
    drive(agent, State.IDLE)
    assert box.bootable() == [7, 8] and (box.linux / "toweros-8.efi").read_bytes() == NEW


def test_a_trial_without_its_entry_ends_without_a_verdict_and_goes_back(box: Box) -> None:
    agent = checked(box, gathered=NEW[:-1])
    assert agent.trial and agent.watchdog.until
    drive(agent, State.REBOOTING)
    (failure,) = agent.history.memory.failures
    assert failure.verdict == Verdict.INDETERMINATE and "its boot entry is gone" in failure.reason
    again = box.agent()
    assert drive(again, State.REBOOTING) and len(again.history.memory.failures) == 1
    back = box.power_on()
    assert back and back.boot.sequence == 7


def test_the_last_boot_of_all_is_never_left_for_nothing(box: Box) -> None:
    agent = checked(box, gathered=b"")
    (box.linux / "toweros-7.efi").unlink()
    agent = box.agent()
    assert drive(agent, State.IDLE) == State.IDLE


# --- what a boot was started from ---

STAGED = Staged(8, "r", "c", sha256(NEW).hexdigest(), "a")


@pytest.fixture
def esp(tmp_path: Path) -> Esp:
    (tmp_path / "EFI" / "Linux").mkdir(parents=True)
    return Esp(tmp_path)


def put(esp: Esp, **files: bytes) -> None:
    for name, data in files.items():
        (esp.folder / f"toweros-{name}.efi").write_bytes(data)


@pytest.mark.parametrize(
    ("files", "trial", "started", "other_uki", "is_trial", "void"),
    [
        (["7", "8+2-1"], True, 8, False, True, ""),
        (["7", "8"], True, 8, False, False, ""),
        (["7", "8+2-1"], False, 8, False, False, ""),
        (["7"], True, 8, False, True, GONE),
        (["7"], True, 9, False, False, ""),
        ([], True, 8, False, False, ""),
        (["7"], False, 8, False, False, ""),
        (["7", "8+2-1"], True, 8, True, True, ANOTHER),
        (["8+2-1"], True, 8, True, True, ""),
        (["7", "8"], False, 8, True, False, ""),
    ],
    ids=["trial", "blessed-by-an-agent-of-before", "no-trial", "gone", "under-another-number", "nothing-left",
         "gone-and-no-trial", "another-uki", "another-uki-and-nothing-else", "another-uki-and-no-trial"],
)  # fmt: skip
def test_a_boot_is_a_trial_and_has_a_verdict_as_its_entry_says(
    esp: Esp, files: list[str], trial: bool, started: int, other_uki: bool, is_trial: bool, void: str
) -> None:
    put(esp, **dict.fromkeys(files, b"kernel"))
    boot = Boot("demo-1", "r", 8, "", trial, entry=f"toweros-{started}.efi")
    found = Started(esp, boot, {8: STAGED}, other_uki=other_uki)
    assert (found.trial, found.void) == (is_trial, void)


@pytest.mark.parametrize(
    ("emptied", "name"),
    [
        (["8+2-1"], "toweros-8+2-1.efi"),
        (["8+1-2"], "toweros-8+1-2.efi"),
        (["8", "8+0-3"], "toweros-8+0-3.efi"),
        (["9+3", "8"], "toweros-8+2-1.efi"),
        ([], "toweros-8+2-1.efi"),
    ],
    ids=["first-try", "second-try", "blessed-record-too", "another-release", "no-record"],
)
def test_an_entry_is_taken_back_under_the_tries_that_it_had(esp: Esp, emptied: list[str], name: str) -> None:
    put(esp, **dict.fromkeys(emptied, b""))
    (esp.folder / "toweros-8.efi.new").write_bytes(NEW)
    entry = take_back(esp, STAGED)
    assert entry and entry.name == name and esp.entries() == [entry]
    assert (esp.folder / name).read_bytes() == NEW and not (esp.folder / "toweros-8.efi.new").exists()


def test_an_entry_that_cannot_be_taken_back_whole_is_none(esp: Esp, monkeypatch: pytest.MonkeyPatch) -> None:
    assert take_back(esp, STAGED) is None
    gathered, real = esp.folder / "toweros-8.efi.new", renaming.exchange
    gathered.write_bytes(NEW[:-1])
    assert take_back(esp, STAGED) is None and gathered.exists()
    gathered.write_bytes(NEW)

    def lossy(one: Path, other: Path) -> None:
        real(one, other)
        one.write_bytes(NEW[:-1])

    monkeypatch.setattr(renaming, "exchange", lossy)
    with pytest.raises(OSError, match="does not give back"):
        take_back(esp, STAGED)
    gathered.write_bytes(NEW)
    put(esp, **{"7": b"kernel"})
    found = Started(esp, Boot("demo-1", "r", 9, "", True), {9: Staged(9, "r", "c", STAGED.uki, "a")})
    assert found.void == GONE, "nothing was gathered for it"
    found = Started(esp, Boot("demo-1", "r", 8, "", True), {8: STAGED})
    assert found.trial, "what the disk does not give back keeps the box from nothing"
    assert Entry.parse("toweros-8.efi") not in esp.entries(), "and is never a blessed one"


@pytest.mark.parametrize("left", [None, b"", b"{}", b"[]", b'{"started": null}', b'{"started": "noon"}'])
def test_a_boot_has_one_first_start_of_its_agent(tmp_path: Path, left: bytes | None) -> None:
    path = tmp_path / "started.json"
    if left is not None:
        path.write_bytes(left)
    first = first_start(path)
    assert 0 <= time.monotonic() - first < 60 and json.loads(path.read_bytes()) == {"started": first}
    assert first_start(path) == first
