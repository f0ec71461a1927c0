"""Other certificates, as an operator types them: who holds up what, and what boxes are offered meanwhile."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.errors import SettingsError, SignError
from gitops.model import Health, Phase, Report
from gitops.sign import keys
from gitops.sign.enrolled import der, digest
from gitops.sign.firmware import renewal
from gitops.store import Store
from tests.kit.console import toweros
from tests.kit.published import Kit, kit


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kit:
    made = kit(tmp_path / "kit")
    made.publisher.publish([made.publication("demo-1", 1)])
    monkeypatch.setenv("TOWEROS_KEYS", str(made.folder / "keys"))
    monkeypatch.setenv("TOWEROS_STATE", str(made.store.paths.root))
    return made


def reports(store: Store, counter: int, *db: Path) -> None:
    """demo-1 says what its firmware lists."""
    names = {"PK": "", "KEK": "", "db": digest([der(path.read_bytes()) for path in db])}
    firmware = {"secure_boot": True, "setup_mode": False, "keys": names}
    store.boxes.enroll("demo-1", "a" * 64)
    said = Report("demo-1", "boot", counter, 0, "1", 1, "b" * 64, "c" * 64, Phase.IDLE, Health.HEALTHY)
    assert store.boxes.save_report(replace(said, firmware=firmware))


def test_nobody_is_asked_to_drop_what_a_box_still_needs_unless_somebody_says_so(here: Kit, tmp_path: Path) -> None:
    folder, public = here.folder / "keys", tmp_path / "public"
    with pytest.raises(SettingsError, match="nothing of PK"):
        raise_of(toweros("keys", "retire", "PK"))
    with pytest.raises(SignError, match="there is no db before this one"):
        raise_of(toweros("keys", "retire", "db"))
    reports(here.store, 1, folder / "db.crt")
    done = toweros("keys", "rotate", "db", "--public", public)
    assert done.exit_code == 0 and (public / keys.FIRMWARE).is_file(), done.output
    assert "db: demo-1 (it does not list it yet) has not followed" in toweros("keys", "status").stderr
    with pytest.raises(SignError, match="the new db is not yet in the firmware of demo-1"):
        raise_of(toweros("keys", "retire", "db"))
    assert [row.drops for row in renewal._rows(folder)] == [()]
    reports(here.store, 2, folder / "db.crt", folder / "db.old.crt")
    assert "db: every box has followed; now `toweros keys retire db`" in toweros("keys", "status").stderr
    assert "would do: each box that has followed drops the db" in toweros("keys", "retire", "db", "--dry-run").stderr
    assert "nobody is here to be asked" in str(toweros("keys", "retire", "db").exception)
    assert [row.drops for row in renewal._rows(folder)] == [()]
    assert toweros("keys", "retire", "db", "--yes", "--public", public).exit_code == 0
    assert [bool(row.drops) for row in renewal._rows(folder)] == [False, True]
    assert (public / keys.FIRMWARE).read_bytes() == (folder / keys.FIRMWARE).read_bytes()
    assert "has not followed" in toweros("keys", "status").stderr
    reports(here.store, 3, folder / "db.crt")
    here.store.boxes.enroll("demo-0", "b" * 64)
    here.store.boxes.enroll("demo-2", "c" * 64)
    older = Report("demo-2", "boot", 1, 0, "1", 1, "b" * 64, "c" * 64, Phase.IDLE, Health.HEALTHY)
    assert here.store.boxes.save_report(older)
    mute, older_agent = "demo-0 (it never reported)", "demo-2 (it says nothing of its firmware: an older agent,"
    assert f"db: {mute}, {older_agent}" in toweros("keys", "status").stderr
    assert f"{mute}, {older_agent}" in str(toweros("keys", "retire", "db").exception)
    for name in ("demo-0", "demo-2"):
        here.store.boxes.revoke(name)
    said = toweros("keys", "status")
    assert "db: every box has followed" in said.stderr and "db.old.key" in said.stdout
    assert toweros("keys", "retire", "db", "--yes", "--anyway").exit_code == 0, "once more: nothing is lost by it"


def test_a_box_that_cannot_follow_holds_nobody_up_for_ever_and_is_left_behind_by_name_alone(here: Kit) -> None:
    store, folder = here.store, here.folder / "keys"
    old = digest([der((folder / "db.crt").read_bytes())])
    assert toweros("keys", "rotate", "db").exit_code == 0
    told = {"secure_boot": True, "setup_mode": False, "keys": {"PK": "", "KEK": "", "db": old}}
    refuses = "the firmware does not take the update of db: Operation not permitted"
    for name, firmware, degraded, when in (
        ("refuses", told, (refuses,), time.time()),
        ("open", told | {"secure_boot": False}, (), time.time()),
        ("bios", None, (), time.time()),
        ("missing", told, (), time.time() - 30 * 86400),
    ):
        store.boxes.enroll(name, "a" * 64)
        said = Report(name, "boot", 1, 0, "1", 1, "b" * 64, "c" * 64, Phase.IDLE, Health.HEALTHY, degraded=degraded)
        assert store.boxes.save_report(replace(said, firmware=firmware), int(when))
    why = {
        "bios": "it says nothing of its firmware: an older agent, or no UEFI variables",
        "missing": "silent for 30 days",
        "open": "Secure Boot is off",
        "refuses": refuses,
    }
    held = toweros("keys", "retire", "db").exception
    assert ", ".join(f"{box} ({each})" for box, each in why.items()) in str(held)
    assert " ".join(f"--without {box}" for box in why) in held.hint  # type: ignore[union-attr]
    some = [word for box in why if box != "missing" for word in ("--without", box)]
    assert "in the firmware of missing (silent" in str(toweros("keys", "retire", "db", *some).exception)
    with pytest.raises(SettingsError, match="--without demo-x: no box of this name"):
        raise_of(toweros("keys", "retire", "db", "--without", "demo-x"))
    assert [row.drops for row in renewal._rows(folder)] == [()], "nothing happened so far"
    done = toweros("keys", "retire", "db", *some, "--yes", "--without", "missing")
    assert done.exit_code == 0 and [bool(row.drops) for row in renewal._rows(folder)] == [False, True]
    for box, each in why.items():
        assert f"without {box}: {each}" in done.stderr
    status = toweros("keys", "status").stderr
    assert all(f"{box} ({each})" in status for box, each in why.items()), "nobody is forgotten"
    assert "without missing: silent" in toweros("keys", "retire", "db", "--yes", "--anyway").stderr


def raise_of(result: object) -> None:
    raise result.exception  # type: ignore[attr-defined]
