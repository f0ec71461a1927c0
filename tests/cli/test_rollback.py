"""`toweros rollback`: back to older files by going on; what says whom to trust stays."""

from pathlib import Path

import pytest
from typer.testing import Result

from gitops.errors import TowerosError
from tests.kit.console import git, toweros

NEW_POLICY = "source: {sign: head}\n"


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """Three commits: one, two, three. The second adds a file, the third changes one."""
    folder = tmp_path / "fleet"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    for name, value in {"user.name": "Ada", "user.email": "ada@example.org", "commit.gpgsign": "false"}.items():
        git(folder, "config", name, value)
    commit(folder, "one", {"fleet.yaml": "source: {branch: main}\n", "boxes/a.yaml": "role: vm\n"})
    commit(folder, "two", {"boxes/b.yaml": "role: vm\n"})
    commit(folder, "three", {"boxes/a.yaml": "role: box\n"})
    return folder


def commit(folder: Path, message: str, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def refused(done: Result) -> str:
    assert isinstance(done.exception, TowerosError)
    return f"{done.exception.message}; {done.exception.hint}"


def test_the_last_commit_is_undone_by_another_one(fleet: Path) -> None:
    before = git(fleet, "rev-parse", "HEAD")
    assert toweros("rollback", "-C", fleet).exit_code == 0
    assert git(fleet, "rev-parse", "HEAD^") == before, "history goes on"
    assert git(fleet, "rev-parse", "HEAD^{tree}") == git(fleet, "rev-parse", "HEAD~2^{tree}")
    assert "two" in git(fleet, "log", "-1", "--format=%s")


def test_an_older_revision_comes_back_whole_and_what_it_had_not_goes(fleet: Path) -> None:
    assert toweros("rollback", "HEAD~2", "-C", fleet).exit_code == 0
    assert not (fleet / "boxes/b.yaml").exists()
    assert (fleet / "boxes/a.yaml").read_text() == "role: vm\n"


def test_whom_to_trust_stays_as_it_is(fleet: Path) -> None:
    commit(fleet, "policy", {"fleet.yaml": NEW_POLICY, "keys/allowed_signers": "ben ssh-ed25519 AAAA\n"})
    assert toweros("rollback", "HEAD~3", "-C", fleet).exit_code == 0
    assert (fleet / "fleet.yaml").read_text() == NEW_POLICY
    assert (fleet / "keys/allowed_signers").exists() and not (fleet / "boxes/b.yaml").exists()
    assert "fleet.yaml and keys" in git(fleet, "log", "-1", "--format=%b")


def test_work_that_is_not_committed_is_never_touched(fleet: Path) -> None:
    (fleet / "boxes/a.yaml").write_text("role: mine\n")
    assert "not committed" in refused(toweros("rollback", "-C", fleet))
    assert (fleet / "boxes/a.yaml").read_text() == "role: mine\n"


@pytest.mark.parametrize(("revision", "says"), [("v9", "no revision v9"), ("HEAD", "already"), ("--help=x", "")])
def test_a_revision_that_cannot_be_meant_is_refused(fleet: Path, revision: str, says: str) -> None:
    before = git(fleet, "rev-parse", "HEAD")
    done = toweros("rollback", revision, "-C", fleet)
    assert done.exit_code != 0 and (not says or says in refused(done))
    assert git(fleet, "rev-parse", "HEAD") == before and git(fleet, "status", "--porcelain") == ""


def test_a_commit_that_cannot_be_signed_leaves_everything_as_it_was(fleet: Path) -> None:
    git(fleet, "config", "gpg.format", "ssh")
    git(fleet, "config", "user.signingkey", "/nowhere/key")
    before = git(fleet, "rev-parse", "HEAD")
    assert toweros("rollback", "--sign", "-C", fleet).exit_code != 0
    assert git(fleet, "rev-parse", "HEAD") == before and git(fleet, "status", "--porcelain") == ""
