"""A fleet repo that names an older root than the controller's is told wherever people look, with what mends it."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gitops.sign import keys
from gitops.sign.roots import rotation
from gitops.sign.roots.standing import behind
from tests.kit.console import toweros
from tests.kit.fleets import TREE
from tests.kit.published import PASSPHRASE, shared_keys


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of a fleet repo whose root is the controller's first; the controller has made a second."""
    place, folder = tmp_path / "fleet", tmp_path / "keys"
    for path in TREE.entries():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(TREE.read(path))
    shutil.copytree(shared_keys(), folder)
    keys.export(folder, place / "keys")
    monkeypatch.setenv("TOWEROS_KEYS", str(folder))
    monkeypatch.setenv("TOWEROS_STATE", str(tmp_path / "none"))
    assert toweros("plan", "-C", place, "-o", "json").stdout.count("keys/root.json of the fleet repo") == 0
    assert rotation.rotate(folder, "timestamp", PASSPHRASE, datetime.now(UTC)) == ""
    return place


def test_it_is_told_by_status_and_plan_until_what_mends_it_was_typed(fleet: Path, tmp_path: Path) -> None:
    words = "keys/root.json of the fleet repo is root 1, and the controller's is root 2"
    said = toweros("keys", "status", "--public", fleet / "keys")
    assert said.exit_code == 0 and words in " ".join(said.stderr.split())
    for output in ("table", "markdown", "json"):
        shown = toweros("plan", "-C", fleet, "-o", output).stdout
        assert words.replace("'", "'") in shown and "`toweros keys export keys`" in shown.replace("'", "`"), output
    done = toweros("keys", "export", fleet / "keys")
    assert done.exit_code == 0, done.output
    said = toweros("keys", "status", "--public", fleet / "keys")
    assert "of the fleet repo" not in said.output + toweros("plan", "-C", fleet).output
    assert toweros("keys", "status", "--public", tmp_path / "nowhere").exit_code == 1


def test_what_is_no_root_of_ours_is_told_apart(fleet: Path, tmp_path: Path) -> None:
    folder, place = tmp_path / "keys", fleet / "keys" / "root.json"
    newest = (folder / "root.json").read_bytes()
    assert behind(folder, newest) == behind(folder, newest.replace(b"\n", b"\r\n")) == "", "git may store it so"
    assert "is no TUF root" in behind(folder, b"{}")
    assert behind(tmp_path / "none", place.read_bytes()) == "", "a machine without the controller's keys says nothing"
    keys.init(tmp_path / "foreign", PASSPHRASE)
    assert "is another fleet's" in behind(folder, (tmp_path / "foreign" / "root.json").read_bytes())
    assert rotation.renew(folder, PASSPHRASE, datetime.now(UTC)) == ""
    third = (folder / "root.json").read_bytes()
    (folder / "3.root.json").unlink()
    assert "root 3, and the newest in the keys folder is 2: restore the keys folder" in behind(folder, third)
