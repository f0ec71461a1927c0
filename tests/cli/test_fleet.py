"""init, validate, get and schema, as a user meets them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from gitops.cli.main import application
from gitops.errors import TowerosError
from gitops.source import FolderTree, new_fleet
from tests.kit import contracts
from tests.kit.console import git, toweros
from tests.kit.fleets import repo


def test_init_makes_a_repo_of_template_boot_and_pkg_byte_for_byte(tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    assert toweros("init", folder).exit_code == 0
    assert git(folder, "status", "--porcelain") == ""
    assert git(folder, "branch", "--show-current") == "main"
    assert git(folder, "rev-list", "--count", "HEAD") == "1"
    recorded = json.loads((folder / ".toweros" / "vendored.json").read_text())["trees"]
    for name in ("boot", "pkg"):
        own = FolderTree(new_fleet.HOME / name)
        assert recorded[name] == own.tree_id("")
        if own.entries():
            assert git(folder, "rev-parse", f"HEAD:{name}") == own.tree_id("")
    assert FolderTree(folder).tree_id("") == git(folder, "rev-parse", "HEAD^{tree}")
    for kind in ("fleet", "role", "box"):
        assert (folder / ".toweros" / f"{kind}.schema.json").is_file()


def test_what_init_makes_has_no_mistakes(tmp_path: Path) -> None:
    new_fleet.make(tmp_path / "fleet")
    done = toweros("validate", tmp_path / "fleet")
    assert done.exit_code == 0, done.stdout


def test_init_refuses_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(TowerosError, match="is not empty"):
        new_fleet.make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_validate_says_every_mistake_on_stdout_and_fails(tmp_path: Path) -> None:
    repo(tmp_path, **{"fleet.yaml": "pol: 1\n", "boxes/one.yaml": "role: nowhere\n"})
    done = toweros("validate", tmp_path)
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "boxes/one.yaml:1:7: there is no role `nowhere`; known: vm",
        "     1 | role: nowhere",
        "       |       ^",
        "fleet.yaml:1:1: unknown key `pol`; did you mean `poll`?",
        "     1 | pol: 1",
        "       | ^",
    ]
    assert "2 mistakes" in done.stderr
    rows = json.loads(toweros("validate", tmp_path, "-o", "json").stdout)
    assert rows[1] == {
        "file": "fleet.yaml",
        "line": 1,
        "column": 1,
        "message": "unknown key `pol`",
        "hint": "did you mean `poll`?",
        "text": "pol: 1",
    }


def test_validate_is_quiet_on_stdout_when_all_is_well(tmp_path: Path) -> None:
    repo(tmp_path)
    done = toweros("validate", tmp_path)
    assert (done.exit_code, done.stdout) == (0, "")
    assert json.loads(toweros("validate", tmp_path, "-o", "json").stdout) == []


def test_get_shows_what_the_levels_say_together(tmp_path: Path) -> None:
    repo(tmp_path)
    rows = json.loads(toweros("get", "boxes", "-C", tmp_path, "-o", "json").stdout)
    assert [(row["name"], row["network"], row["suspended"]) for row in rows] == [
        ("one", "dhcp", ""),
        ("two", "192.0.2.10/24", "ada: disk"),
    ]
    assert "BOX" in toweros("get", "boxes", "-C", tmp_path).stdout
    assert "service" in toweros("get", "box", "one", "-C", tmp_path).stdout
    for output in ("json", "yaml"):
        assert "etc/hostname" in toweros("get", "box", "two", "-C", tmp_path, "-o", output).stdout
    assert json.loads(toweros("get", "packages", "-C", tmp_path, "-o", "json").stdout) == []
    assert isinstance(toweros("get", "box", "tow", "-C", tmp_path).exception, TowerosError)


def test_get_says_where_each_value_comes_from(tmp_path: Path) -> None:
    repo(tmp_path, **{"fleet.yaml": "poll: 30\nhealth: {probation: 60}\nvalues: {channel: 1}\n"})
    said = json.loads(toweros("get", "box", "two", "-C", tmp_path, "-o", "json").stdout)
    origins = said["origins"]
    expected = {
        "role": "boxes/two.yaml:1",
        "poll": "boxes/two.yaml:2",
        "network.address": "boxes/two.yaml:4",
        "health.probation": "fleet.yaml:2",
        "values.channel": "fleet.yaml:3",
        "services.hello": "boot/b.yml:2",
        "services.sshd.env": "boxes/two.yaml:6",
        "health.checks.hello": "boxes/two.yaml:8",
        "files.etc/motd": "roles/vm.yaml:8",
        "files.etc/banner": "boxes/two.yaml:10",
        "cmdline": "roles/vm.yaml:2",
    }
    assert {name: origins.get(name) for name in expected} == expected
    assert "onboot.dhcp" not in origins and "health.checks.sshd" not in origins, "the box removed them"
    assert "boxes/two.yaml:10" in toweros("get", "box", "two", "-C", tmp_path).stdout
    assert yaml.safe_load(toweros("get", "box", "two", "-C", tmp_path, "-o", "yaml").stdout)["origins"] == origins


def test_schema_prints_json() -> None:
    assert json.loads(toweros("schema", "box").stdout)["title"] == "TowerOS box"
    assert json.loads(toweros("schema", "boot").stdout)["title"] == "/run/toweros/boot.json"
    assert set(json.loads(toweros("schema").stdout)) == {"fleet", "role", "box", *contracts.names()}


def test_every_verb_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    def explain(command: Any, path: str) -> Iterator[str]:
        command.get_help(typer.Context(command, info_name=path))
        assert path.rsplit(maxsplit=1)[-1] in capsys.readouterr().out
        yield path
        for name, below in getattr(command, "commands", {}).items():
            yield from explain(below, f"{path} {name}")

    verbs = list(explain(typer.main.get_command(application()), "toweros"))
    assert {"toweros pkg push", "toweros box image", "toweros suspend"} <= set(verbs)
