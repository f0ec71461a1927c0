"""`toweros plan` as people and CI use it: on a clone, with and without a controller's state, and on the remote."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from gitops.errors import FleetError, SourceError
from gitops.lab.hardware import free_port
from tests.kit.console import toweros
from tests.kit.fleets import TREE
from tests.kit.remote import Remote
from tests.kit.site import Site


def plan(*words: str | Path) -> Result:
    return toweros("plan", *words)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    """A working clone of a fleet, with no controller on this machine."""
    monkeypatch.setenv("TOWEROS_STATE", str(tmp_path / "none"))
    remote = Remote(tmp_path)
    for path in TREE.entries():
        place = remote.work / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(TREE.read(path))
    remote.commit("the fleet")
    return remote


def change(remote: Remote, branch: str = "topic") -> str:
    remote.git("checkout", "-q", "-B", branch)
    return remote.commit("hello 2\n", path="pkg/hello/file", push=False)


def test_uncommitted_work_is_compared_with_the_last_commit(clone: Remote, tmp_path: Path) -> None:
    assert plan("-C", clone.work).stdout == "No changes.\n"
    (clone.work / "boxes" / "four.yaml").write_text("role: vm\nnetwork: {dhcp: true}\n")
    done = plan("-C", clone.work)
    assert "+ four: new box" in done.stdout and "1 box to create, 0 boxes to update" in done.stdout
    assert not (tmp_path / "none").exists(), "a question leaves nothing behind"


def test_a_branch_is_compared_with_where_it_left_the_branch_that_deploys(clone: Remote) -> None:
    change(clone)
    clone.git("checkout", "-q", "main")
    clone.commit("sshd 2\n", path="pkg/sshd/file", push=False)
    said = json.loads(plan("-C", clone.work, "--head", "topic", "-o", "json").stdout)
    assert [step["subject"] for step in said["builds"]] == ["pkg/hello"] and not said["stateful"]
    assert clone.git("branch", "--show-current") == "main" and clone.git("status", "--porcelain") == ""


def test_any_two_revisions_can_be_compared_and_yaml_says_what_json_says(clone: Remote) -> None:
    head = change(clone)
    words = ("-C", clone.work, "--base", "main", "--head", head[:12])
    said = json.loads(plan(*words, "-o", "json").stdout)
    assert yaml.safe_load(plan(*words, "-o", "yaml").stdout) == said
    assert said["groups"][0]["boxes"] == ["one", "three", "two"] and said["head"].endswith(head)
    back = json.loads(plan("-C", clone.work, "--base", head, "--head", "main", "-o", "json").stdout)
    assert back["digest"] != said["digest"] and len(back["builds"]) == 1


def test_markdown_is_the_comment_with_its_marker(clone: Remote) -> None:
    change(clone)
    text = plan("-C", clone.work, "--base", "main", "--head", "HEAD", "-o", "markdown").stdout
    assert text.startswith("<!-- toweros:plan -->\n### TowerOS plan\n") and "\x1b" not in text


def test_detailed_exit_codes(clone: Remote) -> None:
    assert plan("-C", clone.work, "--detailed-exitcode").exit_code == 0
    change(clone)
    assert plan("-C", clone.work, "--base", "main", "--head", "topic", "--detailed-exitcode").exit_code == 2


def test_a_revision_that_is_not_there_is_named(clone: Remote) -> None:
    for words in (("--head", "nowhere"), ("--base", "nowhere"), ("--base", "-x"), ("--head", "main:fleet.yaml")):
        done = plan("-C", clone.work, *words)
        assert isinstance(done.exception, SourceError) and "there is no commit" in done.exception.message


def test_a_head_with_mistakes_or_a_trick_is_refused_and_a_bad_base_is_none(clone: Remote) -> None:
    clone.git("checkout", "-q", "-b", "bad")
    clone.commit("rol: vm\n", path="boxes/one.yaml", push=False)
    done = plan("-C", clone.work, "--base", "main", "--head", "bad")
    assert isinstance(done.exception, FleetError) and "boxes/one.yaml:1:1" in str(done.exception)
    fixed = plan("-C", clone.work, "--base", "bad", "--head", "main")
    assert fixed.exit_code == 0 and "3 boxes to create" in fixed.stdout
    clone.git("checkout", "-q", "-b", "trick", "main")
    (clone.work / "boxes" / "seven.yaml").symlink_to("/etc/passwd")
    clone.git("add", "-A")
    clone.git("commit", "-q", "-m", "trick")
    done = plan("-C", clone.work, "--base", "main", "--head", "trick")
    assert isinstance(done.exception, SourceError) and "leaves the repository" in done.exception.message


def test_a_folder_without_git_is_planned_from_nothing(clone: Remote, tmp_path: Path) -> None:
    (clone.work / ".git").rename(tmp_path / "git")
    assert "3 boxes to create" in plan("-C", clone.work).stdout


def asked(config: Path, *words: str) -> dict[str, Any]:
    """The JSON behind what is logged (only the command itself sends that to stderr)."""
    out = plan("-c", config, *words, "-o", "json").stdout
    return dict(json.loads(out[out.index("{\n") :]))


def test_the_remote_is_compared_with_what_is_deployed(site: Site, tmp_path: Path) -> None:
    config = tmp_path / "toweros.toml"
    config.write_text(
        f'state = "{site.settings.state}"\nrepository = "{site.settings.repository}"\nkeys = "{site.settings.keys}"\n'
    )
    first = asked(config)
    assert first["base"] == "" and first["groups"][0]["action"] == "create"
    site.run()
    assert asked(config)["empty"]
    site.commit({"pkg/hello/file": "hello 2\n", "boxes/c.yaml": None})
    said = asked(config)
    assert said["stateful"] and said["verdict"]["state"] == "accepted" and said["base"]
    assert {(group["action"], tuple(group["boxes"])) for group in said["groups"]} == {
        ("update", ("a", "b")),
        ("remove", ("c",)),
    }
    named = asked(config, "--base", "main~1")
    assert named["digest"] and [step["subject"] for step in named["builds"]] == ["pkg/hello"]


def test_a_refused_commit_is_planned_all_the_same_and_the_verb_fails(site: Site, tmp_path: Path) -> None:
    site.run()
    signers = tmp_path / "allowed_signers"
    signers.write_text("")
    config = tmp_path / "toweros.toml"
    config.write_text(
        f'state = "{site.settings.state}"\nrepository = "{site.settings.repository}"\n'
        f'keys = "{site.settings.keys}"\nallowed_signers = "{signers}"\n'
    )
    site.commit({"fleet.yaml": "source: {branch: main, sign: head}\n", "pkg/hello/file": "hello 2\n"})
    done = plan("-c", config)
    assert isinstance(done.exception, SourceError) and done.exception.reason == "NobodyTrusted"
    assert "refused; " in done.stdout and "3 boxes to update" in done.stdout and "sign: none -> head" in done.stdout


def test_history_that_was_rewritten_is_refused_with_what_it_would_do(site: Site, tmp_path: Path) -> None:
    site.run()
    config = tmp_path / "toweros.toml"
    config.write_text(
        f'state = "{site.settings.state}"\nrepository = "{site.settings.repository}"\nkeys = "{site.settings.keys}"\n'
    )
    site.commit({"pkg/hello/file": "hello 2\n"}, "--amend")
    done = plan("-c", config)
    assert isinstance(done.exception, SourceError) and "does not descend" in done.exception.message
    assert "refused; " in done.stdout and "3 boxes to update" in done.stdout


def test_a_plan_of_a_clone_loads_no_database(clone: Remote) -> None:
    """The database takes long to load, and there is nothing to ask it."""
    ask = "import sys; from gitops.cli.main import main; sys.argv[1:] = ['plan', '-C', sys.argv[1]]\n"
    ask += "try: main()\nexcept SystemExit: pass\nsys.exit('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", ask, clone.work], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "No changes.\n", done.stderr


def test_a_plan_names_the_images_that_cannot_be_had_and_whose_they_are(clone: Remote) -> None:
    image = f"127.0.0.1:{free_port()}/ntp@sha256:{'0' * 64}"
    with (clone.work / "boot" / "a.yml").open("a") as spec:
        spec.write(f'  - {{name: ntp, image: "{image}"}}\n')
    said = json.loads(plan("-C", clone.work, "-o", "json").stdout)["warnings"]
    assert [each for each in said if each.startswith(f"one, three, two: {image} cannot be had: ")]


def test_a_dry_pass_says_what_the_plan_says_and_does_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also before there is any state: none is made."""
    settings = site.folder / "toweros.toml"
    settings.write_text(
        f'repository = "{site.settings.repository}"\nstate = "{site.folder / "dry"}"\nkeys = "{site.settings.keys}"\n'
    )
    dry = toweros("apply", "--dry-run", "--config", settings, "-o", "json")
    assert dry.exit_code == 0 and "nothing is done" in dry.stderr, dry.output
    assert json.loads(dry.stdout) == json.loads(plan("--config", settings, "-o", "json").stdout)
    assert json.loads(dry.stdout)["groups"] and not (site.folder / "dry").exists()
