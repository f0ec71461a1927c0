"""init, validate, get and schema, as a user meets them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from gitops.cli.main import application
from gitops.errors import FleetError, TowerosError
from gitops.source import FolderTree, new_fleet
from gitops.source.shipped.home import CHECKOUT
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
        own = FolderTree(CHECKOUT / name)
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


@pytest.mark.parametrize("place", ["empty", "above", "fleet/boxes", "fleet/fleet.yaml", "nowhere"])
def test_what_is_no_fleet_repo_is_told_in_the_first_words_with_the_way_to_one(tmp_path: Path, place: str) -> None:
    above = tmp_path / "above"
    repo(above / "fleet")
    (tmp_path / "empty").mkdir()
    folder = {"empty": tmp_path / "empty", "above": above}.get(place, above / place)
    told = "toweros init" if place in ("empty", "nowhere") else str(above / "fleet")
    done = toweros("validate", folder)
    assert done.exit_code == 1 and done.stdout.startswith("no fleet.yaml here") and told in done.stdout, done.stdout
    (row,) = json.loads(toweros("validate", folder, "-o", "json").stdout)
    assert row["file"] == "fleet.yaml" and row["message"].startswith("no fleet.yaml here") and told in row["hint"]
    for verb in (("plan",), ("lock",), ("build",), ("get", "boxes"), ("upgrade",)):
        error = toweros(*verb, "-C", folder).exception
        assert isinstance(error, TowerosError) and error.message.startswith("no fleet.yaml here"), verb
        assert told in error.hint


def test_the_rest_of_a_repo_without_a_fleet_yaml_is_judged_too(tmp_path: Path) -> None:
    repo(tmp_path, **{"fleet.yaml": None, "boxes/one.yaml": "role: vmm\n"})
    lines = toweros("validate", tmp_path).stdout.splitlines()
    assert lines[0].startswith("no fleet.yaml here")
    assert lines[1].startswith("boxes/one.yaml:1:7: there is no role `vmm`")


def test_one_run_tells_mistakes_of_all_levels_and_the_plan_is_refused_with_the_same(tmp_path: Path) -> None:
    repo(
        tmp_path,
        **{
            "fleet.yaml": "pol: 20\n",
            "roles/vm.yaml": "boot: [boot/a.yml, boot/c.yml]\nvalues: [\n",
            "roles/other.yaml": "boot: [boot/d.yml]\n",
            "boot/b.yml": "services:\n- {name: hello}\n",
            "boxes/one.yaml": "role: vm\nlables: {}\n",
            "boxes/two.yaml": "role: vm\nfiles: [{path: a, source: none}]\n",
            "pkg/a/build.yml": "imag: a\n",
            "pkg/a/Dockerfile": "FROM debian:13\n",
            "pkg/b/build.yml": "image: b\nnetwork: true\n",
            "pkg/b/Dockerfile": "FROM scratch\n",
            "boot/net/docker-compose.yml": "services:\n  web: {build: .}\n",
            "keys/allowed_signers": "ada nothing\n",
            "images.lock": "nonsense\n",
            "security/vex/a.yaml": "- x\n",
        },
    )
    (tmp_path / "link").symlink_to("/etc/passwd")
    rows = json.loads(toweros("validate", tmp_path, "-o", "json").stdout)
    assert [(row["file"], row["line"]) for row in rows] == [
        ("boot/b.yml", 2),
        ("boot/net/docker-compose.yml", 2),
        ("boxes/one.yaml", 2),
        ("boxes/two.yaml", 2),
        ("fleet.yaml", 1),
        ("images.lock", 1),
        ("keys/allowed_signers", 1),
        ("link", 0),
        ("pkg/a/Dockerfile", 1),
        ("pkg/a/build.yml", 1),
        ("pkg/b/build.yml", 2),
        ("roles/other.yaml", 1),
        ("roles/vm.yaml", 3),
        ("security/vex/a.yaml", 1),
    ]
    assert all(row["hint"] for row in rows)
    (tmp_path / "link").unlink()
    refused = toweros("plan", "-C", tmp_path).exception
    assert isinstance(refused, FleetError)
    assert [(each.file, each.message) for each in refused.problems] == [
        (row["file"], row["message"]) for row in rows if row["file"] != "link"
    ]
