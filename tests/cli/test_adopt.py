"""`toweros box adopt`: a commit in a folder of the fleet repo, and nothing where it must not be."""

import json
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import Result

from gitops.fleet import load_fleet
from gitops.model import Health, Phase, Report
from gitops.model.machines.newcomer import Hardware, code
from gitops.source.working_folder import fleet_in
from gitops.workflows.enrolment import newcomers
from tests.kit.console import git
from tests.kit.fleet_desk import FleetDesk


class Desk(FleetDesk):
    """Machines ask at its store."""

    def ask(self) -> str:
        """A machine asks; its key."""
        private = Ed25519PrivateKey.generate()
        key = private.public_key().public_bytes_raw().hex()
        said = newcomers.Said("new.vm", b"report", private.sign(b"report").hex(), key, "7XK2Q13\x1b[31m"[:7])
        newcomers.ask(self.store, said, "192.0.2.7", int(time.time()))
        return key

    def adopt(self, *words: str) -> Result:
        return self.run("box", "adopt", *words)

    def head(self) -> str:
        return git(self.repo, "log", "-1", "--format=%s", "--name-only")

    def refusal(self, *words: str) -> str:
        return self.refused("box", "adopt", *words)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_adopting_is_one_commit_of_one_file_that_nobody_pushed(desk: Desk) -> None:
    key = desk.ask()
    listed = desk.adopt("--list", "-o", "json")
    (row,) = json.loads(listed.stdout)
    assert (row["code"], row["key"], row["role"], row["address"]) == (code(key), key, "vm", "192.0.2.7")
    assert code(key) in desk.adopt("--list").stdout
    (desk.repo / "README.md").write_text("not committed yet\n")
    git(desk.repo, "add", "README.md")
    before = desk.head()
    assert "would do: commit boxes/site-9.yaml" in desk.adopt(code(key), "--name", "site-9", "--dry-run").stderr
    assert desk.head() == before and not (desk.repo / "boxes" / "site-9.yaml").exists()
    done = desk.adopt(code(key), "--name", "site-9", "--label", "region=north: 1", "--label", "who=0")
    assert done.exit_code == 0 and "git push" in done.stderr
    assert desk.head() == f"boxes/site-9: the machine {code(key)}\n\nboxes/site-9.yaml"
    assert git(desk.repo, "status", "--porcelain") == "A  README.md", "what else is there stays as it is"
    box = load_fleet(fleet_in(desk.repo)).boxes["site-9"]
    assert (box.role, box.hardware) == ("vm", Hardware(key=key))
    assert dict(box.labels) == {"region": "north: 1", "who": "0"}


def test_what_cannot_be_adopted_changes_nothing_and_says_what_to_do(desk: Desk) -> None:
    key = desk.ask()
    assert "no machine asks with the code" in desk.refusal("0000-" * 5, "--name", "site-9")
    assert "a code has 20 digits" in desk.refusal(code(key)[:9], "--name", "site-9")
    assert "--name" in desk.refusal(code(key))
    assert "no name that a box can have" in desk.refusal(code(key), "--name", "../site-9")
    assert "no name that a box can have" in desk.refusal(code(key), "--name", "new.vm")
    assert "there is a boxes/a.yaml already" in desk.refusal(code(key), "--name", "a")
    assert "KEY=VALUE" in desk.refusal(code(key), "--name", "site-9", "--label", "north")
    result = desk.adopt(code(key), "--name", "site-9", "--role", "tower")
    assert result.exit_code == 1 and "there is no role `tower`" in str(result.exception)
    assert not (desk.repo / "boxes" / "site-9.yaml").exists()
    (desk.repo / "boxes" / "site-9.yaml").write_text("role: vm\n")
    assert "not committed" in desk.refusal(code(key), "--name", "site-9", "--replace")


def test_a_file_that_is_a_link_is_written_nowhere(desk: Desk) -> None:
    """It would be written over what it leads to."""
    key, other = desk.ask(), desk.repo / "boxes" / "b.yaml"
    (desk.repo / "boxes" / "a.yaml").unlink()
    (desk.repo / "boxes" / "a.yaml").symlink_to("b.yaml")
    desk.commit()
    before = other.read_bytes()
    assert "boxes/a.yaml leads elsewhere" in desk.refusal(code(key), "--name", "a", "--replace")
    assert other.read_bytes() == before


def test_a_machine_in_the_place_of_a_box_needs_a_word_and_keeps_the_rest_of_its_file(desk: Desk) -> None:
    old = (
        "# the north mast\nrole: vm\nhardware:\n  serial: 7XK2Q13\n\n  mac: 52:54:00:12:34:56\nsite: north  # tower 3\n"
    )
    (desk.repo / "boxes" / "a.yaml").write_text(old)
    desk.commit()
    desk.store.boxes.enroll("a", "ab" * 32)
    runs = ("1", 1, "0" * 64, "0" * 64)
    said = Report("a", "boot", 1, 0, *runs, Phase.IDLE, Health.HEALTHY)
    desk.store.boxes.save_report(said)
    key = desk.ask()
    assert "a is alive: it reported 0 minutes ago" in desk.refusal(code(key), "--name", "a")
    assert desk.adopt(code(key), "--name", "a", "--replace").exit_code == 0
    text = (desk.repo / "boxes" / "a.yaml").read_text()
    assert text == f'# the north mast\nrole: vm\nsite: north  # tower 3\nhardware:\n  key: "{key}"\n'
    assert "has the role vm" in desk.refusal(code(key), "--name", "a", "--replace", "--role", "tower")


def test_it_is_pushed_only_when_that_is_said(desk: Desk, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "remote.git")
    git(desk.repo, "remote", "add", "origin", str(tmp_path / "remote.git"))
    git(desk.repo, "push", "-q", "-u", "origin", "main")
    first, second = desk.ask(), desk.ask()
    desk.adopt(code(first), "--name", "site-8")
    assert git(tmp_path / "remote.git", "rev-list", "--count", "main") == "1"
    assert desk.adopt(code(second), "--name", "site-9", "--push").exit_code == 0
    assert git(tmp_path / "remote.git", "rev-list", "--count", "main") == "3"
