"""A lost controller, rehearsed each month: what holds is said, what would be lost too, and nothing here is touched."""

import hashlib
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.model.access.act import Act
from gitops.model.access.person import Grant, Role
from gitops.rollout import holds
from gitops.sign import keys
from gitops.store.audit.log import AuditLog
from gitops.workflows.access.accounts import Accounts
from gitops.workflows.acting.acting import audit_log
from gitops.workflows.safekeeping.backup import Backup
from gitops.workflows.safekeeping.rehearsal import Holds, Rehearsal, Row
from tests.kit.console import toweros
from tests.kit.site import HELLO, Site

NOW = 1_790_000_000


@pytest.fixture
def lived(site: Site) -> Site:
    site.run()
    for box in site.offers():
        site.report(box)
    return site


def taken(site: Site) -> Path:
    return Backup(site.store, site.settings.keys).write(site.folder / "toweros.backup", NOW).file


def rehearsed(site: Site, file: Path, *, live: bool = True) -> dict[str, Row]:
    return {row.what: row for row in Rehearsal(site.settings, site.store if live else None).of(file, NOW)}


def everything(site: Site) -> dict[str, str]:
    files = (path for folder in (site.settings.state, site.settings.keys) for path in sorted(folder.rglob("*")))
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()}


def test_a_backup_of_now_loses_nothing_and_nothing_is_touched(
    lived: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, before = taken(lived), everything(lived)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    rows = rehearsed(lived, file)
    assert all(row.holds in (Holds.yes, Holds.same) for what, row in rows.items() if what != "events"), rows
    assert "targets, snapshot, timestamp, builder, db sign" in rows["keys"].found
    assert "agree, of 3 boxes" in rows["what boxes are offered"].found
    assert everything(lived) == before and list((tmp_path / "tmp").iterdir()) == []


def test_what_came_since_is_what_would_be_lost(lived: Site) -> None:
    file = taken(lived)
    lived.commit({**HELLO, "boxes/c.yaml": "role: vm\n"})
    lived.run()
    lived.store.boxes.replace_key("a", key := lived.store.boxes.row("a").public_key, "e" * 64)  # type: ignore[union-attr]
    assert key
    holds.hold(lived.store, "b", "ada", "the mast", NOW)
    Accounts(lived.store).add("ben", "a long enough password", (Grant(Role.viewer),))
    with audit_log(lived.store).doing(Act(NOW, "ada", "account", "192.0.2.7", "box.hold", "b", "the mast")):
        pass
    rows = rehearsed(lived, file)
    lost = {what: row.found for what, row in rows.items() if row.holds is Holds.lost}
    assert {"deployed", "releases", "keys of boxes", "holds", "accounts, tokens", "events", "audit log"} <= {*lost}
    assert lost["keys of boxes"].endswith(": a") and lost["holds"].endswith(": b")
    assert lost["accounts, tokens"].endswith(": ben") and lost["audit log"].startswith("2 lines")


@pytest.mark.parametrize("lost", ["targets.pem", "builder.pem", "db.key"])
def test_keys_that_are_another_s_or_missing_are_found_before_they_are_needed(lived: Site, lost: str) -> None:
    file, other = taken(lived), lived.folder / "other"
    keys.init(other, b"x")
    assert rehearsed(lived, file)["keys"].holds is Holds.yes
    if lost == "builder.pem":
        shutil.copy(other / lost, lived.settings.keys / "builder.old.pem")  # so that the seal is still proven
        (lived.settings.keys / lost).rename(lived.settings.keys / "builder.kept")
        shutil.copy(other / lost, lived.settings.keys / lost)
    else:
        shutil.copy(other / lost, lived.settings.keys / lost)
    row = rehearsed(lived, file)["keys"]
    assert row.holds is Holds.no and "restore the keys from their backup" in row.found
    (lived.settings.keys / lost).unlink()
    assert rehearsed(lived, file)["keys"].holds is Holds.no


def test_on_another_machine_there_is_nothing_to_compare_and_the_rest_is_said(lived: Site) -> None:
    rows = rehearsed(lived, taken(lived), live=False)
    assert rows["keys"].holds is Holds.yes and "no state to compare" in rows["since then"].found
    assert not {"deployed", "holds"} & rows.keys()


def config(site: Site, state: Path) -> Path:
    place = site.folder / "toweros.toml"
    place.write_text(f'state = "{state}"\nkeys = "{site.settings.keys}"\nrepository = "x"\n')
    return place


def test_the_verb_shows_a_table_and_fails_where_the_backup_would_not_bring_the_controller_back(lived: Site) -> None:
    file = taken(lived)
    words = ("restore", file, "--rehearse", "--config", config(lived, lived.settings.state))
    done = toweros(*words, "-o", "json")
    assert done.exit_code == 0 and "thrown away" in done.stderr
    assert {row["what"] for row in json.loads(done.stdout)} >= {"archive", "database", "keys", "releases"}
    (lived.settings.keys / "timestamp.pem").unlink()
    done = toweros(*words)
    assert done.exit_code == 1 and "would not bring the controller back: keys" in str(done.exception)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert "cut short" in str(toweros(*words).exception), "as in earnest"


def test_on_a_new_machine_the_audit_log_begins_anew_and_says_where_the_one_of_before_ended(lived: Site) -> None:
    """Not with lines that are gone, until the new ones are as many."""
    act = Act(NOW, "ada", "account", "192.0.2.7", "box.hold", "a", "the mast is open")
    for _ in range(40):
        audit_log(lived.store).note(act)
    last = next(AuditLog(lived.store.paths.audit).files.newest_first())
    place = config(lived, lived.folder / "new")
    done = toweros("restore", taken(lived), "--config", place)
    assert done.exit_code == 0 and f"--head 40:{last.digest}" in " ".join(done.stderr.split())
    verified = toweros("audit", "verify", "--config", place)
    assert verified.exit_code == 0 and "are whole" in verified.stdout, verified.output
    log = AuditLog(lived.folder / "new" / "audit").newest()
    assert [line.act.subject for line, _ in log if line.act.what == "audit.elsewhere"] == [f"40:{last.digest}"]
    assert toweros("suspend", "a", "-m", "why", "--config", place).exit_code == 0
    assert toweros("audit", "verify", "--config", place).exit_code == 0


def test_where_the_log_is_on_the_machine_it_goes_on_and_gone_lines_are_still_missed(lived: Site) -> None:
    act = Act(NOW, "ada", "account", "192.0.2.7", "box.hold", "a", "the mast is open")
    for each in ("one", "two", "three"):
        audit_log(lived.store).note(replace(act, reason=each))
    file, place = taken(lived), config(lived, lived.folder / "new")
    shutil.copytree(lived.store.paths.audit, lived.folder / "new" / "audit")
    done = toweros("restore", file, "--config", place)
    assert done.exit_code == 0 and "begins anew" not in done.stderr
    assert toweros("audit", "verify", "--config", place).exit_code == 0
