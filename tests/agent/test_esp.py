"""The boot entries on the ESP: how they get their names, and what a power cut or a bad disk leaves of them."""

import errno
import os
from pathlib import Path

import pytest
from toweros_agent.host import renaming
from toweros_agent.host.esp import Esp
from toweros_agent.nouns import Staged, Verdict

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


def test_a_blessed_entry_that_the_disk_does_not_give_back_is_told(esp: Esp, monkeypatch: pytest.MonkeyPatch) -> None:
    (esp.folder / "toweros-8+2-1.efi").write_bytes(b"kernel")
    real = renaming.exchange

    def lossy(one: Path, other: Path) -> None:
        real(one, other)
        one.write_bytes(b"k?rnel")

    monkeypatch.setattr(renaming, "exchange", lossy)
    with pytest.raises(OSError, match="does not give back"):
        esp.bless(8)


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
