"""What the pinned compose refuses is a mistake with its line, before a commit deploys."""

from pathlib import Path

import pytest

from gitops.builders.places import Places
from gitops.errors import FleetError, Problem
from gitops.fleet import load_fleet
from gitops.fleet.apps.compose import load_app
from gitops.workflows.composing import complaints as composing
from gitops.workflows.composing.complaints import check, complaints
from gitops.workflows.composing.judging import judged
from gitops.workflows.composing.program import fetched
from tests.kit import built
from tests.kit.fleets import TREE
from tests.simulators.tree import DictTree

IMAGE = f"x@sha256:{'0' * 64}"
FILE = f"services:\n  a:\n    image: {IMAGE}\n    %s\n  b: {{image: {IMAGE}}}\n"


@pytest.fixture(scope="module")
def compose() -> Path:
    """The real one, from this machine's own mirrors."""
    return fetched(built.FOLDER / "compose", Places()) or pytest.fail("no mirror has it")


def said(program: Path, text: str, **beside: str) -> list[str]:
    tree = DictTree({"app/docker-compose.yml": text, **{f"app/{name}": data for name, data in beside.items()}})
    problems: list[Problem] = []
    app = load_app(tree, "app", "staged", problems)
    assert app, problems
    return [str(problem) for problem in complaints(program, tree, app, {})]


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("key", "place", "words"),
    [
        ("enviroment: [A=1]", "4:5", "services.a Additional property enviroment is not allowed"),
        ("deploy: {replica: 1}", "4:14", "services.a.deploy Additional property replica is not allowed"),
        ("volumes: [data:/x]", "4:5", 'service "a" refers to undefined volume data'),
        ("networks: [lan]", "4:5", 'service "a" refers to undefined network lan'),
        ("configs: [c]", "4:5", 'service "a" refers to undefined config c'),
        ("depends_on: [db]", "4:5", 'service "a" depends on undefined service "db"'),
        ("restart: [always]", "4:14", "services.a.restart must be a string"),
        ('ports: ["80:80", "80:x"]', "4:22", "Invalid containerPort: x"),
        ('ports: ["80:80", "80-70:80"]', "4:22", "Invalid hostPort: 80-70"),
        ('ports: ["80:80", "1.2.3.999:80:80"]', "4:22", "Invalid ip address: 1.2.3.999"),
        ('ports: ["80:80/foo"]', "4:13", "Invalid proto: foo"),
        ("mem_limit: 5zb", "4:16", "invalid size: '5zb'"),
        ('ports: ["abc"]', "4:13", "Invalid containerPort: abc"),
        (
            "network_mode: host\n    networks: [default]",
            "2:3",
            "mutually exclusive `network_mode` and `networks`",
        ),
        ("<<: {usr: x}", "4:10", "services.a Additional property usr is not allowed"),
    ],
)
def test_what_compose_refuses_is_told_where_it_stands(compose: Path, key: str, place: str, words: str) -> None:
    (mistake,) = said(compose, FILE % key)
    assert mistake.startswith(f"app/docker-compose.yml:{place}: ") and words in mistake, mistake


@pytest.mark.e2e
def test_what_compose_takes_is_no_mistake_and_files_beside_are_there(compose: Path) -> None:
    text = FILE % 'env_file: a.env\n    user: "${WHO}:${GROUP:-900}"\n    profiles: [radio]'
    assert said(compose, text, **{"a.env": "A=1\n", ".env": "WHO=1\n"}) == []


@pytest.mark.e2e
def test_our_own_apps_are_taken(compose: Path) -> None:
    from gitops.source import FolderTree

    tree = FolderTree(built.CHECKOUT)
    problems: list[Problem] = []
    apps = [load_app(tree, path.rpartition("/")[0], "staged", problems) for path in tree.entries() if is_app(path)]
    assert apps and not problems
    assert [complaint for app in apps if app for complaint in complaints(compose, tree, app, {})] == []


def is_app(path: str) -> bool:
    return path.startswith("boot/") and path.endswith("/docker-compose.yml")


@pytest.mark.e2e
def test_every_mistake_of_an_app_is_told_whoever_finds_it(compose: Path) -> None:
    """Compose names one at a time, and our reader looks for others."""
    keys = ("enviroment: [A=1]", "env_file: nothing.env", "volumes: [data:/x]", "networks: [lan]", "mem_limit: 5zb")
    text = FILE % "\n    ".join(keys)
    tree = DictTree({"app/docker-compose.yml": text + "volums: {}\n"})
    problems: list[Problem] = []
    app = load_app(tree, "app", "staged", problems)
    assert app and [each.line for each in problems] == [5]
    places = sorted((each.line, each.message) for each in complaints(compose, tree, app, {}))
    assert [line for line, _ in places] == [4, 6, 7, 8, 10], places


def program(folder: Path, script: str) -> Path:
    made = folder / "compose"
    made.write_text(f"#!/bin/sh\n{script}\n")
    made.chmod(0o755)
    return made


def test_a_compose_that_hangs_holds_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composing, "SECONDS", 0.2)
    assert said(program(tmp_path, "sleep 60"), FILE % "init: true") == [], "a busy machine says nothing of the app"


def test_a_compose_that_cannot_start_or_is_ended_refuses_nothing(tmp_path: Path) -> None:
    assert said(program(tmp_path, "kill -9 $$"), FILE % "init: true") == []
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"\x7fELF of another machine")
    for mode in (0o755, 0o644):
        foreign.chmod(mode)
        assert said(foreign, FILE % "init: true") == []


def test_it_sees_nothing_of_this_machine_and_every_app_is_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    tree = DictTree(
        {
            "fleet.yaml": "{}\n",
            "boot/a.yml": f"kernel: {{image: {IMAGE}}}\ninit: [{IMAGE}]\nservices:\n"
            + "".join(f"  - {{name: {name}, image: {IMAGE}, env: [A=b]}}\n" for name in ("docker", "compose")),
            "boot/one/docker-compose.yml": FILE % "init: true",
            "boot/two/docker-compose.yml": FILE % "user: ${A}",
            "roles/vm.yaml": "boot: [boot/a.yml]\ncompose: [{app: boot/one}, {app: boot/two}]\n",
            "boxes/b1.yaml": "role: vm\n",
            "boxes/b2.yaml": "role: vm\n",
        }
    )
    script = (
        f"env >>{tmp_path}/env; pwd >>{tmp_path}/where; cat docker-compose.yml >>{tmp_path}/file; echo no >&2; exit 1"
    )
    with pytest.raises(FleetError) as caught:
        check(program(tmp_path, script), tree, load_fleet(tree))
    assert [str(each) for each in caught.value.problems] == [
        f"boot/{app}/docker-compose.yml:1:1: no; {composing.HINT}" for app in ("one", "two")
    ]
    assert "secret" not in (tmp_path / "env").read_text() and "A=b" in (tmp_path / "env").read_text()
    assert len((tmp_path / "where").read_text().splitlines()) == 2, "each app once, however many boxes have it"
    assert IMAGE not in (tmp_path / "file").read_text()


@pytest.mark.e2e
def test_every_line_of_variables_that_compose_cannot_read_is_told_where_it_stands(compose: Path) -> None:
    """Compose names the line, not the file, and stops at the first; what is behind the `=` is repeated nowhere."""
    text = FILE % "env_file: [good.env, {path: ./own.env, required: false}]"
    files = {"good.env": "A=1\n# a b\n", "own.env": "\nB=2\nKEY_%=hidden\nC D=3\n", ".env": "E-F=1\n'G'=hidden\n"}
    mistakes = said(compose, text, **files)
    assert [each.rpartition("; write")[0] for each in mistakes] == [
        'app/.env:2:1: unexpected character "\'"',
        'app/own.env:3:1: unexpected character "%"',
        "app/own.env:4:1: key cannot contain a space",
    ], mistakes


@pytest.mark.e2e
def test_a_role_whose_list_of_apps_cannot_be_read_hides_no_mistake_of_an_app(compose: Path) -> None:
    app = FILE % "enviroment: [A=1]"
    role = "boot: [boot/a.yml]\ncompose:\n  - boot/compose/net\n  - {app: boot/compose/web}\n"
    tree = TREE.with_files(
        {"roles/vm.yaml": role, "boot/compose/net/docker-compose.yml": app, "boot/compose/web/compose.yml": app}
    )
    told = [str(each) for each in judged(tree, lambda: compose).problems]
    assert any(each.startswith("boot/compose/net/docker-compose.yml:4:5: services.a Additional") for each in told)
    assert any("roles/vm.yaml:3:5" in each and "write `{app: boot/compose/net}`" in each for each in told), told
    assert any("roles/vm.yaml:4:11" in each and "rename boot/compose/web/compose.yml" in each for each in told), told
