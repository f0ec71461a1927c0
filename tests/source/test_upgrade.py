"""A newer TowerOS is merged into a fleet repo: hand-made changes stay, and what fails leaves everything as it was."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from gitops.errors import TowerosError
from gitops.source import new_fleet
from gitops.source.shipped import home as shipped
from gitops.source.upgrade import Upgraded, upgrade
from tests.kit.console import git, toweros

NTP, HELLO, SSHD = "pkg/ntp/Dockerfile", "pkg/hello/Dockerfile", "pkg/sshd"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that another version of TowerOS is installed in."""
    home = tmp_path / "toweros"
    for name in (new_fleet.TEMPLATE, *new_fleet.VENDORED):
        new_fleet.copy(shipped.tree(name), home / name)
    monkeypatch.setattr(shipped, "CHECKOUT", home)
    return home


@pytest.fixture
def fleet(tmp_path: Path, home: Path) -> Path:
    """A fleet repo that came with that version."""
    folder = tmp_path / "fleet"
    new_fleet.make(folder)
    git(folder, "config", "user.name", "Ada")
    git(folder, "config", "user.email", "ada@example.net")
    return folder


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def commit(folder: Path, subject: str = "site: our own change") -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", subject)
    return git(folder, "rev-parse", "HEAD")


def done(folder: Path, version: str = "") -> Upgraded:
    upgraded = upgrade(folder, version)
    assert upgraded is not None
    return upgraded


def test_changes_of_both_sides_are_there_in_one_commit(home: Path, fleet: Path) -> None:
    append(fleet / NTP, "# ours\n")
    (fleet / "pkg" / "mine").mkdir()
    (fleet / "pkg" / "mine" / "note").write_text("ours\n")
    ours = commit(fleet)
    append(home / HELLO, "# theirs\n")
    (home / "pkg" / "hello" / "tool").write_text("#!/bin/sh\n")
    (home / "pkg" / "hello" / "tool").chmod(0o755)
    shutil.rmtree(home / "pkg" / "getty")
    upgraded = done(fleet)
    assert upgraded.changed == ("pkg/getty", "pkg/hello") and upgraded.conflicts == upgraded.kept == ()
    assert git(fleet, "rev-parse", "HEAD", "HEAD^").split() == [upgraded.commit, ours]
    assert (fleet / NTP).read_text().endswith("# ours\n") and (fleet / HELLO).read_text().endswith("# theirs\n")
    assert (fleet / "pkg" / "mine" / "note").is_file() and not (fleet / "pkg" / "getty").exists()
    assert (fleet / "pkg" / "hello" / "tool").stat().st_mode & 0o100
    message = git(fleet, "show", "-s", "--format=%an %B", "HEAD")
    assert message.startswith("Ada Upgrade TowerOS") and "- pkg/hello" in message
    assert git(fleet, "status", "--porcelain") == ""
    assert upgrade(fleet) is None, "a second one has nothing to do"


def test_the_next_upgrade_begins_where_the_last_one_ended(home: Path, fleet: Path) -> None:
    append(home / HELLO, "# second version\n")
    done(fleet)
    append(fleet / HELLO, "# ours\n")
    commit(fleet)
    append(home / NTP, "# third version\n")
    assert done(fleet).changed == ("pkg/ntp",)
    assert (fleet / HELLO).read_text().endswith("# second version\n# ours\n")


def test_a_conflict_is_shown_as_git_shows_it_and_can_be_undone(home: Path, fleet: Path) -> None:
    append(fleet / HELLO, "# ours\n")
    ours = commit(fleet)
    append(home / HELLO, "# theirs\n")
    told = toweros("upgrade", "-C", fleet)
    assert told.exit_code == 1 and f"conflict: {HELLO}" in told.output and "cherry-pick --abort" in told.output
    assert "<<<<<<<" in (fleet / HELLO).read_text()
    git(fleet, "cherry-pick", "--abort")
    assert git(fleet, "rev-parse", "HEAD") == ours and git(fleet, "status", "--porcelain") == ""


def test_a_conflict_that_somebody_resolves_ends_in_the_same_one_commit(home: Path, fleet: Path) -> None:
    append(fleet / HELLO, "# ours\n")
    ours = commit(fleet)
    append(home / HELLO, "# theirs\n")
    assert done(fleet).conflicts == (HELLO,)
    (fleet / HELLO).write_text("FROM scratch\n# both\n")
    git(fleet, "add", HELLO)
    git(fleet, "-c", "core.editor=true", "cherry-pick", "--continue")
    assert git(fleet, "rev-parse", "HEAD^") == ours
    assert upgrade(fleet) is None


def lock_again(top: Path, digit: str) -> None:
    """Another version of the first package of sshd's lock."""
    lock = top / SSHD / "packages.lock"
    head, first, *rest = lock.read_text().splitlines()
    words = first.split()
    lock.write_text("\n".join([head, " ".join([*words[:3], digit * 64, *words[4:]]), *rest]) + "\n")


def test_a_lock_that_only_toweros_changed_is_taken(home: Path, fleet: Path) -> None:
    lock_again(home, "a")
    assert done(fleet).kept == ()
    assert (fleet / SSHD / "packages.lock").read_text() == (home / SSHD / "packages.lock").read_text()


def test_a_lock_that_both_changed_is_never_mixed(home: Path, fleet: Path) -> None:
    lock_again(home, "a")
    lock_again(fleet, "b")
    ours = (fleet / SSHD / "packages.lock").read_text()
    commit(fleet)
    assert done(fleet).kept == ("pkg/sshd/packages.lock",)
    assert (fleet / SSHD / "packages.lock").read_text() == ours


def test_a_lock_follows_the_packages_in_that_is_there_now(home: Path, fleet: Path) -> None:
    append(home / SSHD / "packages.in", "deb less\n")
    lock_again(home, "a")
    lock_again(fleet, "b")
    commit(fleet)
    assert done(fleet).kept == ()
    assert (fleet / SSHD / "packages.lock").read_text() == (home / SSHD / "packages.lock").read_text()


def refused(folder: Path, words: str, version: str = "") -> None:
    before = git(folder, "rev-parse", "HEAD"), git(folder, "status", "--porcelain")
    with pytest.raises(TowerosError, match=words) as caught:
        upgrade(folder, version)
    assert caught.value.hint
    assert (git(folder, "rev-parse", "HEAD"), git(folder, "status", "--porcelain")) == before
    assert not (folder / ".git" / "CHERRY_PICK_HEAD").exists()


def test_work_that_is_not_committed_is_in_nobodys_way(home: Path, fleet: Path) -> None:
    append(home / HELLO, "# theirs\n")
    append(fleet / NTP, "# not committed\n")
    refused(fleet, "not committed")


def test_a_file_that_git_does_not_know_is_not_overwritten(home: Path, fleet: Path) -> None:
    (home / "pkg" / "hello" / "notes").write_text("theirs\n")
    (fleet / "pkg" / "hello" / "notes").write_text("precious\n")
    refused(fleet, "would be overwritten")
    assert (fleet / "pkg" / "hello" / "notes").read_text() == "precious\n"


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1}', '{"version": "1", "trees": {"boot": "x", "pkg": "y"}}'])
def test_a_record_that_is_damaged_is_named(home: Path, fleet: Path, text: str) -> None:
    append(home / HELLO, "# theirs\n")
    (fleet / ".toweros" / "vendored.json").write_text(text)
    commit(fleet)
    refused(fleet, r"vendored\.json is missing or damaged")


def test_a_history_without_the_base_is_no_guess(tmp_path: Path, home: Path, fleet: Path) -> None:
    append(fleet / NTP, "# ours\n")
    commit(fleet)
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{fleet}", shallow], check=True)
    append(home / HELLO, "# theirs\n")
    refused(shallow, "the history has no pkg/")


def test_a_version_that_is_not_here_is_not_upgraded_to(home: Path, fleet: Path) -> None:
    refused(fleet, r"without a release 9\.9", "9.9")


def test_a_release_is_taken_from_the_tag_of_the_checkout(home: Path, fleet: Path) -> None:
    append(home / HELLO, "# released\n")
    git(home, "init", "-q")
    git(home, "config", "user.name", "Ada")
    git(home, "config", "user.email", "ada@example.net")
    commit(home, "release")
    git(home, "tag", "v0.9.0")
    append(home / HELLO, "# not yet\n")
    assert done(fleet, "0.9.0").new == "0.9.0"
    assert (fleet / HELLO).read_text().endswith("# released\n")
    assert json.loads((fleet / ".toweros" / "vendored.json").read_text())["version"] == "0.9.0"


def test_the_boxes_that_an_upgrade_touches_are_named(home: Path, fleet: Path) -> None:
    append(home / HELLO, "# theirs\n")
    told = toweros("upgrade", "-C", fleet)
    assert told.exit_code == 0, told.output
    assert "boxes that get another release: demo-1" in told.output
    assert "nothing to do" in toweros("upgrade", "-C", fleet).output


def test_an_upgrade_that_touches_no_box_says_so(home: Path, fleet: Path) -> None:
    append(home / "boot" / "hello.yml", "# a spec that no role of this fleet names\n")
    assert "another release: none" in toweros("upgrade", "-C", fleet).output


def test_a_fleet_repo_of_a_newer_format_is_refused_by_its_number_and_left_alone(fleet: Path) -> None:
    record = fleet / ".toweros" / new_fleet.RECORD
    record.write_text(json.dumps(json.loads(record.read_text()) | {"format": 2, "version": "9.1.0"}))
    ours = commit(fleet)
    with pytest.raises(TowerosError, match="has format 2: this version reads 1") as refused:
        upgrade(fleet)
    assert "9.1.0" in refused.value.hint
    assert git(fleet, "rev-parse", "HEAD") == ours and git(fleet, "status", "--porcelain") == ""
