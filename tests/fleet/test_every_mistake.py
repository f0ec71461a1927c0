"""Fleets with mistakes at several levels: none of them hides another.

A row: what is changed of a sound fleet, and words of every mistake that is in it.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from gitops.cli.repo import validate
from gitops.fleet.repo import judge_fleet
from tests.kit.console import git, toweros
from tests.kit.fleets import IMAGE, SOUND, repo
from tests.simulators.tree import DictTree

AS_ADA = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
ROLE, BOX, SPEC = SOUND["roles/vm.yaml"], SOUND["boxes/two.yaml"], SOUND["boot/a.yml"]
MOTD = "  - {path: /etc/motd, contents: role}\n"
HELLO = f'services:\n  - {{name: hello, image: "{IMAGE}"}}\n'
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 5\n"
PACKAGE = {
    "boot/b.yml": 'services:\n  - {name: hello, image: "@pkg:../pkg/h"}\n',
    "pkg/h/build.yml": "image: h\n",
    "pkg/h/Dockerfile": "FROM scratch\nCOPY file /\n",
    "pkg/h/file": "",
}
Rows = dict[str, tuple[Mapping[str, str], tuple[str, ...]]]

TWICE: Rows = {
    "services of a spec": (
        {
            "boot/b.yml": f'{HELLO}services:\n  - {{name: other, image: "{IMAGE}", netx: host}}\n'
            f'  - {{name: third, image: "@pkg:../pkg/none"}}\n  - {{name: four, image: "{IMAGE}", binds: ["w:/x"]}}\n'
        },
        ("duplicate key `services`", "unknown key `netx`", "no package in pkg/none", "no volume `w`"),
    ),
    "files and health of a role": (
        {
            "roles/vm.yaml": f"{ROLE}files:\n  - {{path: etc/a, source: texts/none}}\n  - {{path: etc/b, conten: x}}\n"
            "health: {checks: [{name: z, service: nosuch}]}\n"
        },
        ("duplicate key `files`", "texts/none", "conten", "duplicate key `health`", "nosuch"),
    ),
    "plain keys of a box": (
        {"boxes/one.yaml": "role: vm\nsite: lab\npoll: 5\npoll: soon\nlabels: {a: b}\nlabels: [x]\n"},
        ("duplicate key `poll`", "write a whole number", "duplicate key `labels`", "write keys and values"),
    ),
    "sections of fleet.yaml": (
        {"fleet.yaml": "source: {branch: main}\nsource: {sign: maybe}\nrollout: {canaries: 1}\nrollout: {canary: 1}\n"},
        ("duplicate key `source`", "sign", "duplicate key `rollout`", "canary"),
    ),
    "keys of a network": (
        {"boxes/two.yaml": BOX.replace("interface: eth1,", "interface: eth1, interface: 5, dns: [x.y],")},
        ("duplicate key `interface`", "duplicate key `dns`", "x.y"),
    ),
    "keys of a package": (
        PACKAGE | {"pkg/h/build.yml": "image: h\nimage: [g]\nfoo: 1\n", "pkg/h/Dockerfile": "FROM nosuch\n"},
        ("duplicate key `image`", "put it into quotes", "foo", "nosuch"),
    ),
    "services of an app": (
        {
            "boot/compose/web/docker-compose.yml": f"services:\n  web: {{image: {IMAGE}}}\n"
            "services:\n  db: {image: postgres, volumes: ['/proc:/x']}\n",
            "roles/vm.yaml": f"{ROLE}compose: [{{app: boot/compose/web}}]\n",
        },
        ("duplicate key `services`", "`postgres` does not say", "`/proc` of the box", "no services `docker`"),
    ),
    "a path in a role's files": (
        {"roles/vm.yaml": ROLE.replace(MOTD, f"{MOTD}  - {{path: etc/motd, contents: b}}\n  - {{path: ./a}}\n")},
        ("roles/vm.yaml:9:12: files holds `etc/motd` twice; the first is in line 8", "roles/vm.yaml:10:12"),
    ),
    "paths in a spec's files": (
        {"boot/a.yml": f"{SPEC}  - {{path: /etc/motd/, contents: b}}\n  - {{path: a//b, contents: b}}\n"},
        ("boot/a.yml:9:12: files holds `etc/motd` twice; the first is in line 8", "boot/a.yml:10:12"),
    ),
}
LEVELS: Rows = {
    "fleet, role, box": (
        {
            "fleet.yaml": "poll: -1\nvalues: {A: x}\n",
            "roles/vm.yaml": ROLE.replace("service: sshd", "service: nosuch"),
            "boxes/one.yaml": "role: vm\nremove: [gone]\n",
        },
        ("`poll`", "values", "nosuch", "`gone`"),
    ),
    "spec, role, box": (
        {
            "boot/b.yml": "services: [\n",
            "roles/vm.yaml": ROLE.replace("cmdline: [quiet]", "cmdlin: [quiet]"),
            "boxes/two.yaml": BOX.replace("192.0.2.10/24", "192.0.2.10/99"),
        },
        ("not YAML", "did you mean `cmdline`", "192.0.2.10/99"),
    ),
    "spec, package, box": (
        PACKAGE
        | {
            "boot/b.yml": PACKAGE["boot/b.yml"] + '  - {name: hello, image: "@pkg:../pkg/h"}\n',
            "pkg/h/build.yml": "image: h\nimag: x\n",
            "pkg/h/Dockerfile": "FROM alpine\nADD https://x/y /z\n",
            "boxes/one.yaml": "role: vm\nhealth: {checks: [{name: q, container: nope}]}\n",
        },
        ("holds `hello` twice", "imag", "alpine", "ADD", "nope"),
    ),
    "keys, rules, box": (
        {
            "fleet.yaml": "source: {sign: head, rules: [{paths: [x], signers: [zed]}]}\n",
            "keys/allowed_signers": 'ada namespaces="git" ssh-ed25519 AAAA\nnonsense\n',
            "boxes/one.yaml": "role: vmm\n",
        },
        ("zed", "allowed_signers:1", "allowed_signers:2", "did you mean `vm`"),
    ),
    "templates, values, windows": (
        {
            "roles/vm.yaml": ROLE.replace(MOTD, '  - {path: a, contents: "${nope} ${nada}", template: true}\n'),
            "boxes/one.yaml": "role: vm\nvalues: {x: [1]}\nwindows: [never]\n",
        },
        ("nope", "nada", "values", "windows"),
    ),
    "names of files": (
        {
            "boxes/Bad_Name.yaml": "role: nosuch\npoll: x\n",
            "roles/x.yml": "boot: [boot/none.yml]\n",
            "boxes/sub/y.yaml": "role: vm\n",
        },
        ("boxes/Bad_Name.yaml:1:1", "no role `nosuch`", "`poll`", "roles/x.yml", "boot/none.yml", "boxes/sub/y.yaml"),
    ),
    "security, notify, rollout": (
        {
            "fleet.yaml": "security: {every: often, how: mail}\nnotify: [{nam: a, on: [Missing], to: [x]}]\n"
            "rollout: {canaries: none}\n"
        },
        ("security.every", "security.how", "did you mean `name`", "rollout.canaries"),
    ),
    "lock of images, a tag, a pin": (
        {
            "images.lock": "garbage here\n",
            "boot/b.yml": HELLO.replace(IMAGE, "nginx:1"),
            "boxes/one.yaml": "role: vm\npin: '!'\n",
        },
        ("images.lock:1", "nginx:1", "pin"),
    ),
    "disk, netboot, wipe": (
        {
            "boxes/one.yaml": "role: vm\ndisk: {layers: 4TB}\nnetboot: {mac: XX}\nwipe: {key: a}\n",
            "boxes/three.yaml": "role: vm\nnetboot: {mac: 52:54:00:12:34:56}\n",
            "boxes/four.yaml": "role: vm\nnetboot: {mac: 52:54:00:12:34:56}\n",
        },
        ("disk.layers", "netboot.mac", "wipe", "52:54:00:12:34:56"),
    ),
    "a container's keys in spec and box": (
        {
            "boxes/one.yaml": "role: vm\nservices: {sshd: {env: 5, net: [x]}}\n",
            "boot/b.yml": f'services:\n  - {{name: hello, image: "{IMAGE}", capabilities: [CAP_X], rlimits: [a]}}\n',
        },
        ("`env`", "`net`", "CAP_X", "rlimits"),
    ),
    "pointers and a key": (
        {"texts/banner": POINTER, "boot/b.yml": POINTER, "boxes/one.yaml": "role: vm\nzoo: 1\n"},
        ("texts/banner is a pointer", "boot/b.yml:1:1: is a pointer", "zoo"),
    ),
    "an anchor, an alias, a name": (
        {"roles/vm.yaml": ROLE.replace("boot: [", "boot: &b [") + "values: *b\nremove: [zzz]\n"},
        ("anchor", "alias", "zzz"),
    ),
}
ALTOGETHER: Rows = {
    "a path below a file, and fleet.yaml": (
        {
            "fleet.yaml": "pol: 20\n",
            "roles/vm.yaml": ROLE.replace(MOTD, f"{MOTD}  - {{path: etc/motd/x, contents: b}}\n"),
            "boxes/one.yaml": "role: vm\nsite: 5\n",
        },
        ("roles/vm.yaml:9:0: one, two: /etc/motd is a file or link", "did you mean `poll`", "`site`"),
    ),
    "addresses, and an unknown key": (
        {
            "boxes/one.yaml": "role: vm\nnetwork: {interface: eth1, address: 192.0.2.10/24, gateway: 192.0.2.1}\n"
            "zoo: 1\n",
            "boxes/three.yaml": "role: vm\nnetwork: {interface: e, address: 192.0.2.255/24, gateway: 192.0.2.1}\n",
        },
        ("192.0.2.10 is one's already", "192.0.2.255 is all of", "zoo"),
    ),
    "what is copied, and a line of the same Dockerfile": (
        PACKAGE | {"pkg/h/Dockerfile": "FROM scratch\nCOPY a /\nCOPY b /\nFROM ${NOPE}\n"},
        ("there is no `a` in pkg/h", "there is no `b` in pkg/h", "${NOPE} is not given"),
    ),
    "what is wanted, and what is locked": (
        PACKAGE | {"pkg/h/packages.in": "deb one\nfoo b\ndebb c\n", "pkg/h/packages.lock": "junk\n"},
        ("packages.in:2", "packages.in:3", "packages.lock:1", "services.hello names no command"),
    ),
}


@pytest.mark.parametrize("name", [*TWICE, *LEVELS])
def test_no_mistake_hides_another(name: str) -> None:
    change, wanted = (TWICE | LEVELS)[name]
    said = [str(problem) for problem in judge_fleet(DictTree(SOUND | dict(change))).problems]
    assert [words for words in wanted if not any(words in each for each in said)] == [], said
    assert len(said) <= len(wanted) + 1, said


@pytest.mark.parametrize("name", ALTOGETHER)
def test_validate_says_all_of_it(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "_compose", lambda: None)
    change, wanted = ALTOGETHER[name]
    repo(tmp_path, **dict(change))
    rows = json.loads(toweros("validate", tmp_path, "-o", "json").stdout)
    said = [f"{row['file']}:{row['line']}:{row['column']}: {row['message']}; {row['hint']}" for row in rows]
    assert [words for words in wanted if not any(words in each for each in said)] == [], said


def test_what_lies_over_another_level_s_path_is_no_mistake() -> None:
    """boot/a.yml, roles/vm.yaml and a box may each have etc/motd: the nearest counts."""
    box = SOUND["boxes/one.yaml"] + "files: [{path: etc/motd, contents: box}]\n"
    judged = judge_fleet(DictTree(SOUND | {"boxes/one.yaml": box}))
    assert judged.problems == []
    assert [file["contents"] for file in judged.fleet.boxes["one"].files if file["path"] == "etc/motd"] == ["box"]


def test_a_copied_section_is_one_mistake() -> None:
    """Of what is there twice alike, nothing more is said than that."""
    said = [str(each) for each in judge_fleet(DictTree(SOUND | {"boot/b.yml": HELLO + HELLO})).problems]
    assert said == ["boot/b.yml:3:1: duplicate key `services`; the first is in line 1; keep one"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"boxes/one.yaml": "role: vm\ncompos: 5\n"},
            ["boxes/one.yaml:2:1: unknown key `compos`; did you mean `compose`? then write a list: `[ONE, TWO]`"],
        ),
        (
            {"roles/vm.yaml": f"{ROLE}foo: [x]\n"},
            ["roles/vm.yaml:9:1: unknown key `foo`; did you mean `floor`?"],
        ),
        (
            {"boot/b.yml": HELLO.replace("image:", "imag: 7, foo: [x], x-image:")},
            ["unknown key `imag`; did you mean `image`? then put it into quotes", "unknown key `foo`", "`x-image`"],
        ),
        (
            {"boxes/one.yaml": "role: vm\nhealt: {probation: x}\n"},
            ["unknown key `healt`; did you mean `health`?", "`health.probation`: should be a valid integer"],
        ),
    ],
)
def test_a_mistyped_key_is_one_message(change: Mapping[str, str], told: list[str]) -> None:
    """What its value should be is said with the key; what is wrong inside of the value is a mistake of its own."""
    said = [str(each) for each in judge_fleet(DictTree(SOUND | change)).problems]
    assert len(said) == len(told) and all(words in each for words, each in zip(told, said, strict=True)), said


@pytest.mark.parametrize("verb", [("validate",), ("plan", "-C")])
def test_warnings_are_told_beside_mistakes(
    tmp_path: Path, verb: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who mends the mistakes does not run it again for the warnings; none is told that only follows from a mistake."""
    monkeypatch.setattr(validate, "_compose", lambda: None)
    waves = "rollout: {waves: [{name: lab, labels: {owner: adda}}]}\n"
    repo(tmp_path, **{"fleet.yaml": waves, "boxes/one.yaml": f"{SOUND['boxes/one.yaml']}zoo: 1\n"})
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "--all")
    git(tmp_path, *AS_ADA, "commit", "-qm", "mistakes")
    done = toweros(*verb, tmp_path)
    assert done.exit_code == 1
    assert "zoo" in f"{done.stdout}{done.exception}"
    assert "warning: fleet.yaml:1: rollout.waves: lab: no box has the label owner: adda; did you mean `ada`?" in (
        " ".join(done.stderr.split())
    )
    repo(tmp_path, **{"fleet.yaml": waves, "boxes/one.yaml": "role: vm\nlabels: [adda]\n"})
    assert "rollout.waves" not in toweros(*verb, tmp_path).stderr, "who is in the wave is not known"
