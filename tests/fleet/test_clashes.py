"""What compose takes and a box then refuses: found before, at its line, and by `toweros validate`."""

from pathlib import Path

import pytest

from gitops.errors import Problem
from gitops.fleet.apps.clashes import clashes
from gitops.fleet.apps.compose import load_app
from gitops.workflows.composing.judging import judged
from tests.kit.fleets import TREE
from tests.simulators.tree import DictTree

IMAGE = f"x@sha256:{'0' * 64}"


def told(**apps: str) -> list[str]:
    tree = DictTree(
        {f"{name}/docker-compose.yml": text.replace("IMG", f"image: {IMAGE}") for name, text in apps.items()}
    )
    problems: list[Problem] = []
    loaded = [load_app(tree, name, "staged", problems) for name in apps]
    assert not problems
    return [str(each) for each in clashes(tree, tuple(app for app in loaded if app))]


ONE, TWO = "services:\n  a: {IMG, %s}\n", "services:\n  a: {IMG, %s}\n  b: {%s, IMG}\n"
OTHER = "services:\n  b: {%s, IMG}\n"
WRONG = [
    ("one:3", "`x` is also the name of one: a", TWO % (("container_name: x",) * 2), ""),
    ("two:2", "`x` is also the name of one: a", ONE % "container_name: x", OTHER % "container_name: x"),
    ("one:3", "port 80/tcp of the box is also that of one: a", TWO % ("ports: ['80:80']", "ports: ['80:8080']"), ""),
    (
        "two:2",
        "port 53/udp of the box is also that of one: a",
        ONE % "ports: ['1.2.3.4:53:53/udp']",
        OTHER % "ports: [{host_ip: 1.2.3.4, published: 53, target: 1, protocol: udp}]",
    ),
    (
        "one:4",
        "the network `lan` on a box",
        ONE % "networks: [l]" + "networks:\n  l: {name: lan, external: true}\n",
        "",
    ),
    ("one:4", "the network `o` on a box", ONE % "networks: {l: {}}" + "networks:\n  l: {external: {name: o}}\n", ""),
    ("one:4", "the volume `v` on a box", ONE % "volumes: ['v:/v']" + "volumes:\n  v: {external: true}\n", ""),
    ("one:4", "external secrets are Swarm's", ONE % "secrets: [s]" + "secrets:\n  s: {external: true}\n", ""),
    ("one:2", "`/sys/class` is no device", ONE % "devices: ['/dev/x:/y', '/sys/class:/sys/class']", ""),
]


@pytest.mark.parametrize(("place", "words", "one", "two"), WRONG)
def test_what_a_box_would_refuse_is_told_at_its_line(place: str, words: str, one: str, two: str) -> None:
    (problem,) = told(one=one, **({"two": two} if two else {}))
    file, _, line = place.partition(":")
    assert problem.startswith(f"{file}/docker-compose.yml:{line}:") and words in problem, problem


LAN = ONE % "networks: [l]" + "networks: {l: {external: true, name: %s}}\n"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (LAN % "two_default", "services: {b: {IMG}}\n"),
        (LAN % "lan", "services: {b: {IMG}}\nnetworks: {x: {name: lan}}\n"),
        (LAN % "host", ""),
        ("services: {a: {IMG}}\nnetworks: {l: {external: true}}\nsecrets: {s: {external: true}}\n", ""),
        (TWO % ("ports: ['80:80']", "profiles: [x], ports: ['80:80']"), ""),
        (TWO % ("ports: ['80:80', '80:80/udp']", "ports: ['1.2.3.4:81:80', '80']"), ""),
        (TWO % ("ports: ['80:80']", "network_mode: host, ports: ['80:80']"), ""),
        (TWO % (("container_name: '${N:-x}'",) * 2), ""),
        (ONE % "devices: ['/dev/net/tun', '${D:-/dev/x}:/y', 'vendor.com/c=all']", ""),
    ],
)
def test_what_a_box_takes_is_no_mistake(one: str, two: str) -> None:
    assert told(one=one, **({"two": two} if two else {})) == []


def test_validate_tells_it_once_for_all_boxes(tmp_path: Path) -> None:
    app = f"services:\n  a: {{image: {IMAGE}, secrets: [s]}}\nsecrets:\n  s: {{external: true}}\n"
    boot = TREE.read("boot/a.yml").decode() + "".join(
        f'  - {{name: {name}, image: "@pkg:../pkg/hello"}}\n' for name in ("docker", "compose")
    )
    tree = TREE.with_files(
        {
            "boot/a.yml": boot,
            "roles/vm.yaml": "boot: [boot/a.yml]\ncompose: [{app: app}]\n",
            "app/docker-compose.yml": app,
        }
    )
    problems = [each for each in judged(tree, lambda: None).problems if each.file.startswith("app/")]
    assert [(each.line, each.message) for each in problems] == [
        (4, "external secrets are Swarm's, and boxes have none")
    ]
