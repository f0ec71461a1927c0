"""One root key is what `toweros keys init` makes: who stays with that is told, while it can still be mended."""

import shutil
from pathlib import Path

import pytest

from gitops.settings import Settings
from gitops.sign import keys
from gitops.sign.roots import rotation, spare
from gitops.workflows.installing.checks import State, examine
from gitops.workflows.installing.programs import Part
from tests.kit.console import toweros

PASSPHRASE = b"correct horse"


def made(tmp_path: Path, root_keys: int = 1, threshold: int = 1) -> Path:
    keys.init(tmp_path / "keys", PASSPHRASE, root_keys=root_keys, threshold=threshold)
    return tmp_path / "keys"


def said(folder: Path) -> str:
    return " / ".join(f"{risk.what}: {risk.fix}" for risk in spare.risks(folder))


def ids(folder: Path) -> list[str]:
    return [keyid[:8] for keyid in rotation.newest(folder).roles["root"].keyids]


def secret(tmp_path: Path) -> list[str]:
    (tmp_path / "pass").write_bytes(PASSPHRASE)
    return ["--passphrase-file", str(tmp_path / "pass")]


@pytest.mark.parametrize(
    ("root_keys", "threshold", "words"),
    [
        (1, 1, "root has one key"),
        (3, 1, "one of the 3 root keys signs alone"),
        (2, 2, "all 2 root keys must sign"),
        (3, 2, ""),
    ],
)
def test_root_keys_of_which_none_may_be_lost_or_each_signs_alone_are_warned_of(
    tmp_path: Path, root_keys: int, threshold: int, words: str
) -> None:
    folder = made(tmp_path, root_keys, threshold)
    assert f"{root_keys} root key" in said(folder) and "on this machine" in said(folder), "nobody took them offline"
    shutil.rmtree(folder / "root")
    assert (words in said(folder)) if words else said(folder) == ""
    assert not words or "toweros keys rotate root" in said(folder), "with the command that mends it"


def test_status_and_doctor_say_it_and_the_command_that_they_name_ends_it(tmp_path: Path) -> None:
    folder = made(tmp_path)
    warned = " ".join(toweros("keys", "status", folder).stderr.split())
    assert "warning: root has one key" in warned and "toweros keys rotate root --root-keys 3 --threshold 2" in warned
    settings = Settings(state=tmp_path / "state", keys=folder, listen="127.0.0.1:0")
    found = [each for each in examine(Part.controller, settings, lambda: False) if each.what == "root keys"]
    assert [each.state for each in found] == [State.warning, State.warning] and "root has one key" in found[0].found
    mended = toweros("keys", "rotate", "root", folder, "--root-keys", "3", "--threshold", "2", *secret(tmp_path))
    assert mended.exit_code == 0, mended.output
    assert "root has one key" not in toweros("keys", "status", folder).stderr


def test_init_says_what_one_root_key_means_and_says_nothing_of_three(tmp_path: Path) -> None:
    lock = secret(tmp_path)
    assert "root has one key" in " ".join(toweros("keys", "init", tmp_path / "one", *lock).stderr.split())
    three = toweros("keys", "init", tmp_path / "three", "--root-keys", "3", "--threshold", "2", *lock)
    assert three.exit_code == 0 and "note:" not in three.stderr


def test_a_folder_without_a_root_or_with_a_damaged_one_is_told_by_others(tmp_path: Path) -> None:
    assert spare.risks(tmp_path) == []
    (tmp_path / "1.root.json").write_bytes(b"{}")
    assert spare.risks(tmp_path) == []


def test_a_root_that_can_never_be_signed_by_enough_is_refused_before_it_is_begun(tmp_path: Path) -> None:
    folder, lock = made(tmp_path, 3, 2), secret(tmp_path)
    first, second, third = ids(folder)
    before = sorted(folder.rglob("*"))
    lost = ["--lost", first, "--lost", second.upper()]
    for verb in (["rotate", "root"], ["rotate", "timestamp"], ["renew"]):
        done = toweros("keys", *verb, folder, *lost, *lock)
        assert done.exit_code == 1 and "1 of 3 root keys is left, and 2 must sign" in str(done.exception)
    assert sorted(folder.rglob("*")) == before, "nothing was made"
    assert toweros("keys", "rotate", "timestamp", folder, "--lost", third, *lock).exit_code == 0


@pytest.mark.parametrize("name", ["deadbeef", "", "a"])
def test_a_key_that_is_said_to_be_lost_is_one_of_roots(tmp_path: Path, name: str) -> None:
    folder = made(tmp_path)
    done = toweros("keys", "renew", folder, "--lost", name, *secret(tmp_path))
    assert done.exit_code == 1 and "no root key begins so" in str(done.exception)
    assert ids(folder)[0] in getattr(done.exception, "hint", "")


def test_a_draft_that_waits_says_at_once_how_many_keys_may_be_lost_before_it_waits_for_ever(tmp_path: Path) -> None:
    folder, lock = made(tmp_path, 3, 2), secret(tmp_path)
    for path in sorted((folder / "root").iterdir())[1:]:
        path.unlink()
    begun = " ".join(toweros("keys", "renew", folder, *lock).stderr.split())
    assert "1 more of 2 keys of the root before must sign" in begun and "if more than 1 of these are lost" in begun
    shutil.rmtree(folder / "root")
    (folder / "root").mkdir()
    assert "2 more of 3 keys of the root before" in " ".join(toweros("keys", "renew", folder, *lock).stderr.split())
