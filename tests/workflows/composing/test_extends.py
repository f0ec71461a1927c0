"""Services that extend others, and compose's tags: the box gets what the pinned compose makes of them.

Each shape is read by the real compose twice, as it is written and as TowerOS writes it for the box: both must be one.
"""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from gitops.builders.places import Places
from gitops.errors import Problem
from gitops.fleet.apps.compose import load_app
from gitops.fleet.apps.watching import watched
from gitops.fleet.apps.written import text
from gitops.fleet.images.tracked import tracked
from gitops.model import App, HealthSpec
from gitops.workflows.composing.complaints import complaints
from gitops.workflows.composing.program import fetched
from tests.kit import built
from tests.simulators.tree import DictTree

I = f"x@sha256:{'0' * 64}"  # noqa: E741 - an image, many times
FILE = "docker-compose.yml"
COMMON = f"""\
services:
  base:
    extends: root
    image: {I}
    env_file: own.env
    volumes: ["./data:/d:ro", "/dev/null:/n"]
    restart: "no"
  root: {{container_name: core, command: [a, b], ports: ["80:80"], pids_limit: 9, environment: {{A: "1"}}}}
"""
BESIDE = {"sub/common.yml": COMMON, "sub/own.env": "E=sub\n", "sub/data/x": "x", "own.env": "E=top\n"}
SHAPES = {
    "in one file": f"base: {{image: {I}, restart: always, ports: ['80:80']}}, a: {{extends: base, ports: ['81:81']}}",
    "as keys": f"base: {{image: {I}, environment: [A=1]}}, a: {{extends: {{service: base}}, environment: {{B: 2}}}}",
    "another file": "a: {extends: {file: sub/common.yml, service: base}, environment: {B: x}}",
    "a chain of three": "a: {extends: b}, b: {extends: {file: ./sub/common.yml, service: base}}, c: {extends: a}",
    "the same file by name": f"base: {{image: {I}, user: x}}, a: {{extends: {{file: {FILE}, service: base}}}}",
    "reset": "a: {extends: {file: sub/common.yml, service: base}, ports: !reset [], command: !reset null}",
    "reset of one": "a: {extends: {file: sub/common.yml, service: base}, environment: {A: !reset null, B: '2'}}",
    "override": "a: {extends: {file: sub/common.yml, service: base}, volumes: !override ['/dev/x:/x']}",
    "reset in a list": "a: {extends: {file: sub/common.yml, service: base}, ports: [!reset '1:1', '2:2']}",
    "tags alone": f"a: {{image: {I}, ports: !reset [], command: !override [x], environment: {{A: !reset 1}}}}",
    "a service that is reset": f"a: {{image: {I}}}, gone: !reset {{image: {I}}}",
    "its own command": "a: {extends: {file: sub/common.yml, service: base}, command: [c], restart: always}",
    "nothing said": "a: {extends: {file: sub/common.yml, service: base}, command: null, restart: null}",
    "with a fragment": f"base: &b {{image: {I}, user: x}}, a: {{<<: *b, extends: base, user: !reset x}}",
}
LOOKED_AT = ("command", "container_name", "restart", "pids_limit", "entrypoint")


@pytest.fixture(scope="module")
def compose() -> Path:
    return fetched(built.FOLDER / "compose", Places()) or pytest.fail("no mirror has it")


def load(source: str, beside: Mapping[str, str] = BESIDE) -> tuple[App | None, list[str], DictTree]:
    tree = DictTree({f"app/{FILE}": source, **{f"app/{name}": data for name, data in beside.items()}})
    problems: list[Problem] = []
    app = load_app(tree, "app", "staged", problems)
    return app, [str(each) for each in problems], tree


def services(program: Path, folder: Path) -> dict[str, dict[str, object]]:
    """As compose itself has them."""
    asked = [str(program), "-p", "app", "--profile", "*", "config", "--format", "json"]
    done = subprocess.run(asked, cwd=folder, capture_output=True, timeout=60, check=True)
    found: dict[str, dict[str, object]] = json.loads(done.stdout)["services"]
    return found


@pytest.mark.e2e
@pytest.mark.parametrize("shape", SHAPES)
def test_the_box_gets_what_compose_makes_of_it(compose: Path, tmp_path: Path, shape: str) -> None:
    source = f"services: {{{SHAPES[shape]}}}\n"
    app, problems, tree = load(source)
    assert app and not problems
    assert complaints(compose, tree, app, {}) == []
    for name, data in BESIDE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(data)
    (tmp_path / FILE).write_text(source)
    before = services(compose, tmp_path)
    named = {name: {**keys, "image": I} for name, keys in app.compose["services"].items()}
    (tmp_path / FILE).write_text(text(app.compose, named))
    assert services(compose, tmp_path) == before
    whole = app.services()
    assert whole.keys() == before.keys() == app.images.keys() and set(app.images.values()) == {I}
    for name, keys in before.items():
        for key in LOOKED_AT:
            assert whole[name].get(key) == keys.get(key), (name, key)


def test_what_a_service_extends_decides_how_it_is_watched_and_bound() -> None:
    app, _, _ = load(
        "services: {a: {extends: {file: sub/common.yml, service: base}}, b: {extends: a, restart: always}}"
    )
    assert app and app.container_names() == ["a", "b", "core", "core"]
    assert [check.target for check in watched(HealthSpec(), (app,), {}).checks] == ["core"], "a may end"


def test_an_image_is_found_where_it_is_written(tmp_path: Path) -> None:
    """In the other file, relative to that file; a tag there is one of the fleet's."""
    beside = {"sub/common.yml": 'services: {p: {image: "@pkg:../../pkg/core"}, t: {image: "web.example/x:1"}}\n'}
    rows = (f"  {name}: {{extends: {{file: sub/common.yml, service: {base}}}}}\n" for name, base in ("ap", "bt"))
    source = "services:\n" + "".join(rows)
    more = {"../pkg/core/build.yml": "image: core\n", "../images.lock": f"web.example/x:1 sha256:{'1' * 64}\n"}
    files = {f"app/{name}": data for name, data in beside.items()} | {f"app/{FILE}": source}
    files |= {name.removeprefix("../"): data for name, data in more.items()}
    problems: list[Problem] = []
    app = load_app(DictTree(files), "app", "staged", problems)
    assert app and not problems
    assert app.images == {"a": "@pkg:pkg/core", "b": f"web.example/x:1@sha256:{'1' * 64}"}
    assert [one.written for one in tracked(DictTree(files))] == ["web.example/x:1"]


THEIRS = "a: {extends: {file: sub/x.yml, service: x}}"


def x(keys: str) -> str:
    """Another file's service, as it is extended."""
    return f"services: {{x: {{image: {I}, {keys}}}}}\n"


def with_image(keys: str) -> str:
    return f"a: {{image: {I}, {keys}}}"


LONG = (
    ", ".join(f"s{number}: {{extends: s{number + 1}, image: {I}}}" for number in range(40)) + f", s40: {{image: {I}}}"
)


@pytest.mark.parametrize(
    ("source", "theirs", "place", "words"),
    [
        (with_image("extends: b, image: {I}}, b: {extends: a"), "", FILE, "services extend each other: a -> b -> a"),
        (with_image("extends: a"), "", FILE, "services extend each other: a -> a"),
        (f"a: {{extends: bse}}, base: {{image: {I}}}", "", FILE, "there is no service `bse` in app/docker-compose.yml"),
        (with_image("extends: {file: nope.yml, service: x}"), "", FILE, "`nope.yml` is no file in app"),
        (with_image("extends: {file: ../b/x.yml, service: x}"), "", FILE, "`../b/x.yml` is no file in app"),
        (with_image("extends: {file: 'https://x.example/y.git', service: x}"), "", FILE, "is no file in app"),
        (with_image("extends: {file: '$F', service: x}"), "", FILE, "`$F` is no file in app"),
        (with_image("extends: {file: sub, service: x}"), "", FILE, "`sub` is no file in app"),
        (f"a: {{extends: [b], image: {I}}}, b: {{image: {I}}}", "", FILE, "`extends` names no service"),
        (with_image("extends: null"), "", FILE, "`extends` names no service"),
        (LONG, "", FILE, "more than 16 services extend one another"),
        ("a: {extends: {file: sub/common.yml, service: root}}", "", FILE, "service `a` has no image"),
        (THEIRS, "services: {x: {imag\n", "sub/x.yml", "not YAML"),
        (THEIRS, "- x\n", "sub/x.yml", "keys and values are expected"),
        (THEIRS, x("build: ."), "sub/x.yml", "nothing is built on a box"),
        (THEIRS, x("volumes: ['/etc:/e']"), "sub/x.yml", "`/etc` of the box"),
        (THEIRS, x("env_file: ../../secret"), "sub/x.yml", "there is no `../../secret`"),
        (THEIRS, x("user: $WHO"), "sub/x.yml", "nobody sets the variable WHO"),
        (THEIRS, x("track: '1'"), "sub/x.yml", "compose does not know `track`"),
        (THEIRS, f"include: [y]\nservices: {{x: {{image: {I}}}}}\n", "sub/x.yml", "other files are not read"),
        (THEIRS, "services: {x: {image: 'x:1'}}\n", "sub/x.yml", "does not say which image"),
        (with_image("<<: &x {ports: !reset []}"), "", FILE, "tag !reset in a fragment"),
        (with_image("ports: &p !override []"), "", FILE, "tag !override in a fragment"),
        (with_image("volumes: [{type: bind, source: !reset x}]"), "", FILE, "tag !reset within a list"),
        (with_image("user: !env x"), "", FILE, "tag !env"),
        (f"a: !reset {{image: {I}}}", "", FILE, "an app without services"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_mistake_with_its_line(source: str, theirs: str, place: str, words: str) -> None:
    _, problems, _ = load(f"services: {{{source}}}\n", BESIDE | {"sub/x.yml": theirs})
    assert problems and all(f"app/{place}:1:" in each or f"app/{place}:2:" in each for each in problems), problems
    assert any(words in each for each in problems) and (len(problems) == 1 or "extend" in words or "$F" in words), (
        problems
    )


def test_a_file_that_may_not_be_read_is_not_shown_to_compose(compose: Path) -> None:
    """What asks compose about an app must read nothing else of its machine."""
    beside = BESIDE | {"sub/x.yml": f"services: {{x: {{image: {I}, env_file: ../../../../../etc/passwd}}}}\n"}
    app, problems, tree = load("services: {a: {extends: {file: sub/x.yml, service: x}}}\n", beside)
    assert app and problems and "extends" not in app.compose["services"]["a"]
    assert complaints(compose, tree, app, {}) == []


def test_our_own_key_and_links_are_no_way_around(tmp_path: Path) -> None:
    _, problems, _ = load(f"x-toweros: {{tags: []}}\nservices: {{a: {{image: {I}}}}}\n")
    assert len(problems) == 1 and "this key is TowerOS's own" in problems[0]
    tree = DictTree(
        {
            f"app/{FILE}": "services: {a: {extends: {file: l.yml, service: x}}}\n",
            "app/r.yml": f"services: {{x: {{image: {I}}}}}\n",
        }
    )
    problems2: list[Problem] = []
    load_app(tree.with_link("app/l.yml", "r.yml"), "app", "staged", problems2)
    assert len(problems2) == 1 and "`./l.yml` is a link" in problems2[0].message
