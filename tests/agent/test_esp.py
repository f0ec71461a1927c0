"""The boot entries on the ESP: how they get their names, and what a power cut or a bad disk leaves of them."""

import errno
import os
from hashlib import sha256
from pathlib import Path

import pytest
from toweros_agent.host import renaming
from toweros_agent.host.esp import Esp
from toweros_agent.nouns import Refused, Staged, Target, Verdict

from tests.simulators.box import Box, make


@pytest.fixture
def esp(tmp_path: Path) -> Esp:
    (tmp_path / "EFI" / "Linux").mkdir(parents=True)
    return Esp(tmp_path)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    made = Box(tmp_path, "http://127.0.0.1:9", b"{}")
    made.install(make(7))
    made.put(make(8, service=b"two"))
    (made.linux / "toweros-8+2-1.efi").write_bytes(make(8).uki)
    return made


NEW = Staged(8, "r", "c", *(sha256(data).hexdigest() for data in (b"kernel 8", b"addon 8")))


def gathered(esp: Esp, sequence: int = 8) -> None:
    """The files of an entry, ready to be published beside what runs."""
    for name in ("kernel", "addon"):
        (esp.folder.parent / name).write_bytes(b"%s %d" % (name.encode(), sequence))
    esp.stage(sequence, esp.folder.parent / "kernel", esp.folder.parent / "addon")


def names(esp: Esp) -> list[str]:
    return sorted(path.relative_to(esp.folder).as_posix() for path in esp.folder.rglob("*") if path.is_file())


@pytest.fixture
def synced(esp: Esp, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """What is synced, in order, and which files are there by then."""
    seen: list[tuple[str, list[str]]] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        real(handle)
        seen.append((Path(f"/proc/self/fd/{handle}").readlink().name, names(esp)))

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


@pytest.fixture
def lossy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that gives back something else as soon as a file has its new name."""
    real = renaming.exchange

    def exchange(one: Path, other: Path) -> None:
        real(one, other)
        one.write_bytes(b"k?rnel")

    monkeypatch.setattr(renaming, "exchange", exchange)


@pytest.mark.parametrize("why", [None, errno.EINVAL])
def test_a_name_is_given_by_an_exchange_the_full_record_first_and_by_a_rename_where_there_is_none(
    esp: Esp, why: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (esp.folder / "toweros-8+2-1.efi").write_bytes(b"kernel")
    synced: list[tuple[str, int]] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        real(handle)
        path = Path(f"/proc/self/fd/{handle}").readlink()
        synced.append((path.name, path.stat().st_size if path.is_file() else -1))

    def nothing(one: Path, other: Path) -> None:
        raise OSError(why, "not here")

    monkeypatch.setattr(os, "fsync", fsync)
    if why:
        monkeypatch.setattr(renaming, "exchange", nothing)
    esp.bless(8)
    assert [path.name for path in esp.folder.iterdir()] == ["toweros-8.efi"]
    assert (esp.folder / "toweros-8.efi").read_bytes() == b"kernel"
    made, full = synced.index(("toweros-8.efi", 0)), synced.index(("toweros-8.efi", 6))
    assert synced[made + 1] == ("Linux", -1) and made < full, "the name lasts before it has content"
    assert why or full < synced.index(("toweros-8+2-1.efi", 0)), "at any moment one of both records is full"
    assert synced[-1] == ("Linux", -1)


def test_a_name_that_a_power_cut_left_empty_is_no_entry_and_goes(esp: Esp) -> None:
    (esp.folder / "toweros-7.efi").write_bytes(b"kernel")
    (esp.folder / "toweros-8+3.efi").touch()
    esp.addon(8).parent.mkdir()
    assert [entry.name for entry in esp.entries()] == ["toweros-7.efi"]
    esp.clean()
    assert [path.name for path in esp.folder.iterdir()] == ["toweros-7.efi"]


def test_a_name_that_has_content_is_never_taken(esp: Esp) -> None:
    for name in ("toweros-8+2-1.efi", "toweros-8.efi"):
        (esp.folder / name).write_bytes(name.encode())
    with pytest.raises(FileExistsError):
        esp.bless(8)
    assert (esp.folder / "toweros-8.efi").read_bytes() == b"toweros-8.efi"


def test_a_blessed_entry_that_the_disk_does_not_give_back_is_told(esp: Esp, lossy: None) -> None:
    (esp.folder / "toweros-8+2-1.efi").write_bytes(b"kernel")
    with pytest.raises(OSError, match="does not give back"):
        esp.bless(8)


def test_a_release_whose_entry_does_not_read_back_loses_its_tries_all_the_same(esp: Esp, lossy: None) -> None:
    (esp.folder / "toweros-8+2-1.efi").write_bytes(b"kernel")
    esp.condemn(8)
    assert [entry.name for entry in esp.entries()] == ["toweros-8+0-1.efi"]


def test_what_was_never_tried_counts_as_tried_to_its_end_and_nothing_is_written_twice(
    esp: Esp, synced: list[tuple[str, list[str]]]
) -> None:
    (esp.folder / "toweros-8+3.efi").write_bytes(b"kernel")
    esp.condemn(8)
    assert names(esp) == ["toweros-8+0-3.efi"] and synced
    synced.clear()
    esp.condemn(8)
    esp.condemn(9)
    assert names(esp) == ["toweros-8+0-3.efi"] and synced == []


def test_an_entry_gets_its_name_once_and_no_other_entry_does(esp: Esp, synced: list[tuple[str, list[str]]]) -> None:
    for sequence, name in ((7, "toweros-7.efi"), (8, "toweros-8+2-1.efi"), (9, "toweros-9+3.efi")):
        (esp.folder / name).write_bytes(b"kernel %d" % sequence)
    esp.bless(8)
    assert names(esp) == ["toweros-7.efi", "toweros-8.efi", "toweros-9+3.efi"]
    assert [(esp.folder / name).read_bytes() for name in names(esp)] == [b"kernel 7", b"kernel 8", b"kernel 9"]
    synced.clear()
    esp.bless(8)
    esp.bless(5)
    assert synced == [], "it is blessed already; and there is none"


def test_an_entry_appears_when_all_that_it_needs_is_on_the_disk(esp: Esp, synced: list[tuple[str, list[str]]]) -> None:
    (esp.folder / "toweros-7.efi").write_bytes(b"kernel 7")
    gathered(esp)
    synced.clear()
    esp.publish(NEW)
    assert names(esp) == ["toweros-7.efi", "toweros-8+3.efi", "toweros-8.efi.extra.d/release.addon.efi"]
    before = {name for name, there in synced if "toweros-8+3.efi" not in there}
    assert before >= {"release.addon.efi", "toweros-8.efi.new", "toweros-8.efi.extra.d", "Linux"}
    assert (esp.folder / "toweros-8+3.efi").read_bytes() == b"kernel 8" and esp.intact(NEW)


@pytest.mark.parametrize("name", ["toweros-8.efi.new", "toweros-8.efi.extra.d/release.addon.efi"])
def test_what_does_not_read_back_never_becomes_an_entry(esp: Esp, name: str) -> None:
    gathered(esp)
    (esp.folder / name).write_bytes(b"k?rnel 8")
    with pytest.raises(Refused, match=rf"does not give back {Path(name).name} as it was written"):
        esp.publish(NEW)
    assert esp.entries() == []


def test_an_entry_that_does_not_read_back_is_refused(esp: Esp, lossy: None) -> None:
    gathered(esp)
    with pytest.raises(Refused, match=r"does not give back toweros-8\+3\.efi as it was written"):
        esp.publish(NEW)


def test_another_try_takes_the_place_of_an_older_one_and_never_of_the_last_entry(esp: Esp) -> None:
    (esp.folder / "toweros-7.efi").write_bytes(b"kernel 7")
    (esp.folder / "toweros-8+0-3.efi").write_bytes(b"of before")
    gathered(esp)
    assert names(esp) == ["toweros-7.efi", "toweros-8.efi.extra.d/release.addon.efi", "toweros-8.efi.new"]
    with pytest.raises(Refused, match="release 7 is the only one on the ESP"):
        gathered(esp, 7)
    assert (esp.folder / "toweros-7.efi").read_bytes() == b"kernel 7"


def test_an_entry_goes_before_its_addon_and_each_step_lasts(esp: Esp, synced: list[tuple[str, list[str]]]) -> None:
    """An entry without its addon names no release; and vfat gives away the clusters of what is not synced."""
    for sequence in (7, 8):
        (esp.folder / f"toweros-{sequence}.efi").write_bytes(b"kernel")
        esp.addon(sequence).parent.mkdir()
        esp.addon(sequence).touch()
    esp.remove(8)
    stays = ["toweros-7.efi", "toweros-7.efi.extra.d/release.addon.efi"]
    assert synced == [("Linux", [*stays, "toweros-8.efi.extra.d/release.addon.efi"]), ("Linux", stays)]
    assert not esp.addon(8).parent.exists()


@pytest.mark.parametrize(
    ("damaged", "intact"),
    [("", True), ("toweros-8.efi", False), ("toweros-8.efi.extra.d/release.addon.efi", False)],
    ids=["whole", "uki", "addon"],
)
def test_an_entry_is_intact_when_both_of_its_files_read_back(esp: Esp, damaged: str, intact: bool) -> None:
    assert not esp.intact(NEW), "there is none"
    gathered(esp)
    esp.publish(NEW)
    esp.bless(8)
    if damaged:
        (esp.folder / damaged).write_bytes(b"k?rnel 8")
    assert esp.intact(NEW) is intact
    (esp.folder / damaged if damaged else esp.addon(8)).unlink()
    assert esp.intact(NEW) is False


def test_a_uki_is_found_by_its_content_under_whatever_name(esp: Esp) -> None:
    for name, data in (("toweros-6.efi", b"kernel"), ("toweros-7.efi", b"k?rnel 8"), ("toweros-9+3.efi", b"kernel 8")):
        (esp.folder / name).write_bytes(data)
    assert esp.find(Target("uki", NEW.uki, 8)) == esp.folder / "toweros-9+3.efi"
    assert esp.find(Target("uki", NEW.uki, 7)) is None, "what is signed has another length"
    (esp.folder / "toweros-9+3.efi").unlink()
    assert esp.find(Target("uki", NEW.uki, 8)) is None


def test_what_interrupted_work_left_goes_in_silence_and_what_is_foreign_is_named(
    esp: Esp, synced: list[tuple[str, list[str]]]
) -> None:
    (esp.folder / "toweros-7.efi").write_bytes(b"kernel 7")
    for folder in ("toweros-7.efi.extra.d", "toweros-8.efi.extra.d", "evil.d"):
        (esp.folder / folder).mkdir()
    for name in ("toweros-8.efi.new", "toweros-8+2-1.efi", "grub.cfg", "evil.efi"):
        (esp.folder / name).touch()
    assert esp.clean() == ["evil.d", "evil.efi", "grub.cfg"]
    assert sorted(path.name for path in esp.folder.iterdir()) == ["toweros-7.efi", "toweros-7.efi.extra.d"]
    assert synced == [("Linux", ["toweros-7.efi"])]


def test_a_verdict_is_kept_when_the_esp_cannot_be_written(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwritable(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    agent = box.power_on()
    assert agent and agent.boot.sequence == 8
    monkeypatch.setattr("toweros_agent.host.esp.rename", unwritable)
    with pytest.raises(OSError, match="Read-only"):
        agent.history.fail(Staged(8, agent.boot.release, agent.running.content, "", ""), Verdict.FAILED, "it is bad")
    again = box.agent()
    assert [each.reason for each in again.history.memory.failures] == ["it is bad"]
    assert again.history.condemned()
