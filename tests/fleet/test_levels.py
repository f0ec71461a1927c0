"""A mistake on one level hides none on another, and nobody is told of what only follows from it.

Each of `MISTAKES` is made in a sound fleet, alone and together with each other one: the words are those of each alone.
"""

import re
from itertools import combinations

import pytest

from gitops.fleet import judge_fleet, key_mistakes
from gitops.fleet.packages.lockfile import dump_lock
from gitops.model import LockedFile
from tests.kit.fleets import package
from tests.simulators.tree import DictTree

IMAGE = f"example.org/x@sha256:{'0' * 64}"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZ8dMgTTIZPsiGxMpLzfmGLF5lMTTVGcaDMDYvAY2dm"
WANTED = "deb openssh-server\n"
LOCK = dump_lock(
    WANTED.encode(), [LockedFile("deb", "openssh-server", "1", "ab" * 32, 9, "pool/main/o/o/openssh-server_1.deb")]
).decode()
SOUND = {
    "fleet.yaml": """\
source: {sign: head, rules: [{paths: [keys], signers: [ada]}]}
poll: 20
values: {channel: 7}
health: {checks: [{name: everywhere, service: sshd}]}
services: {sshd: {env: [A=1]}}
files:
  - {path: etc/motd, source: texts/motd}
""",
    "texts/motd": "hello\n",
    "roles/vm.yaml": """\
boot: [boot/a.yml, boot/docker.yml]
values: {place: here}
compose: [{app: boot/compose/net}]
health: {checks: [{name: sshd, service: sshd}, {name: core, container: core}]}
files:
  - {path: etc/where, contents: "${place} ${channel}", template: true}
""",
    "roles/small.yaml": "boot: [boot/a.yml]\nremove: [dhcp]\n",
    "boot/a.yml": f"""\
kernel: {{image: "{IMAGE}"}}
init: ["@pkg:../pkg/hello"]
onboot:
  - {{name: dhcp, image: "{IMAGE}"}}
services:
  - {{name: sshd, image: "@pkg:../pkg/sshd", binds: ["logs:/logs"]}}
volumes:
  - {{name: logs}}
""",
    "boot/docker.yml": f"""\
services:
  - {{name: docker, image: "{IMAGE}", binds: ["logs:/logs"]}}
  - {{name: compose, image: "{IMAGE}", env: [SAID=1]}}
""",
    "boxes/one.yaml": "role: vm\nvalues: {place: there}\nhealth: {remove: [everywhere]}\n",
    "boxes/two.yaml": "role: vm\nremove: [dhcp, net]\nhealth: {remove: [core]}\n",
    "boxes/three.yaml": "role: small\nservices: {sshd: {env: [A=2]}}\n",
    "boot/compose/net/docker-compose.yml": f"""\
services:
  core:
    image: {IMAGE}
    user: ${{SAID}}
    env_file: core.env
  web: {{image: "web.example/nginx:1.27"}}
""",
    "boot/compose/net/core.env": "A=1\n",
    "images.lock": f"web.example/nginx:1.27 sha256:{'1' * 64}\nweb.example/base:9 sha256:{'2' * 64}\n",
    **package("pkg/base"),
    **package("pkg/sshd", "pkg/base"),
    "pkg/sshd/packages.in": WANTED,
    "pkg/sshd/packages.lock": LOCK,
    **package("pkg/hello", dockerfile="FROM web.example/base:9\n"),
    "keys/allowed_signers": f"ada {KEY}\nben {KEY}\n",
    "security/vex/a.yaml": 'statements:\n- {vulnerability: CVE-1, status: fixed, author: a, until: "2099-01-01"}\n',
}
NET = "boot/compose/net/docker-compose.yml"
GARBAGE = "a: [\n"
MISTAKES: dict[str, tuple[str, str, str, str]] = {
    "fleet: not YAML": ("fleet.yaml", "", GARBAGE, "not YAML"),
    "fleet: an unknown key": ("fleet.yaml", "poll:", "pol:", "fleet.yaml:2:1: unknown key `pol`"),
    "fleet: values misspelt": ("fleet.yaml", "values:", "valuess:", "fleet.yaml:3:1: unknown key `valuess`"),
    "fleet: a value of no type": ("fleet.yaml", "channel: 7", "channel: [7]", "fleet.yaml:3:19: `values.channel"),
    "fleet: a check's key": ("fleet.yaml", "service: sshd}", "servise: sshd}", ":4:38: unknown key `servise`"),
    "fleet: a check of nothing": ("fleet.yaml", "service: sshd", "service: shd", "there is no service `shd`"),
    "fleet: no such container": ("fleet.yaml", "{sshd: {env", "{shd: {env", "fleet.yaml:5:12: there is no container"),
    "fleet: no such file": ("fleet.yaml", "texts/motd", "texts/mtd", "fleet.yaml:7:30: there is no file"),
    "fleet: nobody's signature": ("fleet.yaml", "[ada]", "[adda]", "fleet.yaml:1:56: keys/ lists no `adda`"),
    "role: not YAML": ("roles/vm.yaml", "", GARBAGE, "not YAML"),
    "role: boot misspelt": ("roles/vm.yaml", "boot:", "bot:", "roles/vm.yaml:1:1: unknown key `bot`"),
    "role: no such spec": ("roles/vm.yaml", "boot/docker.yml", "boot/dcker.yml", ":1:20: there is no file"),
    "role: compose misspelt": ("roles/vm.yaml", "compose:", "compos:", "roles/vm.yaml:3:1: unknown key `compos`"),
    "role: no such app": ("roles/vm.yaml", "compose/net", "compose/nett", ":3:17: there is no boot/compose"),
    "role: a duplicate key": ("roles/vm.yaml", "place: here", "place: here, place: there", "duplicate key"),
    "role: a check of nothing": ("roles/vm.yaml", "container: core", "container: croe", "there is no container `croe`"),
    "role: a value that nobody has": ("roles/vm.yaml", "${channel}", "${chanel}", "needs the value `chanel`"),
    "role: the wrong name": ("roles/small.yml", "", "boot: [boot/a.yml]\n", "roles/small.yml:1:1: not the name"),
    "spec: not YAML": ("boot/a.yml", "", GARBAGE, "not YAML"),
    "spec: a key of a service": ("boot/a.yml", "binds:", "bind:", "boot/a.yml:6:45: unknown key `bind`"),
    "spec: a service without a name": ("boot/a.yml", "{name: sshd,", "{nam: sshd,", ":6:6: unknown key `nam`"),
    "spec: volumes misspelt": ("boot/a.yml", "volumes:", "volums:", "boot/a.yml:7:1: unknown key `volums`"),
    "spec: no such volume": ("boot/docker.yml", "logs:", "lgs:", "there is no volume `lgs`"),
    "spec: no such package": ("boot/a.yml", "pkg/hello", "pkg/helo", "boot/a.yml:2:8: there is no package"),
    "box: not YAML": ("boxes/one.yaml", "", GARBAGE, "not YAML"),
    "box: no such role": ("boxes/one.yaml", "role: vm", "role: vmm", "boxes/one.yaml:1:7: there is no role `vmm`"),
    "box: an octal number": ("boxes/one.yaml", "place: there", "place: 0644", "boxes/one.yaml:2:17: 0644 can be read"),
    "box: no such container": ("boxes/two.yaml", "[dhcp,", "[dhpc,", "boxes/two.yaml:2:10: there is no container"),
    "box: no such check": ("boxes/two.yaml", "[core]", "[coree]", "boxes/two.yaml:3:19: there is no health check"),
    "box: a wrong type": ("boxes/three.yaml", "[A=2]", "A", "boxes/three.yaml:2:24: `env`"),
    "build.yml: not YAML": ("pkg/sshd/build.yml", "", GARBAGE, "not YAML"),
    "build.yml: an unknown key": ("pkg/sshd/build.yml", "buildArgs", "buildArg", ":2:1: unknown key `buildArg`"),
    "build.yml: no such sibling": ("pkg/sshd/build.yml", "../base", "../bse", "there is no package `pkg/bse`"),
    "Dockerfile: no argument": ("pkg/sshd/Dockerfile", "FROM ${B0}", "FROM ${B1}", "${B1} is not given by"),
    "packages.in: a line that is none": ("pkg/sshd/packages.in", "deb", "dbe", "packages.in:1:1: `dbe openssh-server`"),
    "packages.lock: a line that is none": ("pkg/sshd/packages.lock", " 9 ", " x ", "packages.lock:2:1: not a line"),
    "compose: not YAML": (NET, "", GARBAGE, "not YAML"),
    "compose: no such file": (NET, "core.env", "cor.env", f"{NET}:5:15: there is no `./cor.env`"),
    "compose: a variable": (NET, "${SAID}", "${SAD}", f"{NET}:4:11: nobody sets the variable SAD"),
    "compose: no image": (NET, "web: {image: ", "web: {imag: ", f"{NET}:6:8: service `web` has no image"),
    "images.lock: a line that is none": ("images.lock", "nginx:1.27 sha256:", "nginx:1.27 sha25:", "lock:1:1: not"),
    "keys: a damaged line": ("keys/allowed_signers", f"ben {KEY}", "ben ssh-ed25519 AAAA", "allowed_signers:2:1: this"),
    "keys: a private key": ("keys/db.key", "", "-----BEGIN PRIVATE KEY-----\n", "keys/db.key:1:1: a private key"),
    "keys: builder.json": ("keys/builder.json", "", "{}", "keys/builder.json:1:1: builder.json is damaged"),
    "vex: an unknown key": ("security/vex/a.yaml", "author", "autor", "security/vex/a.yaml:2:41: unknown key `autor`"),
    "a pointer of Git LFS": (
        "boot/compose/net/blob", "", "version https://git-lfs.github.com/spec/v1\n", "net/blob:1:1: is a pointer",
    ),
}  # fmt: skip


def with_mistakes(*names: str) -> list[str]:
    """What is said of the fleet with these mistakes in it."""
    files = dict(SOUND)
    for name in sorted(names, key=lambda name: MISTAKES[name][2] == GARBAGE):
        path, old, new, _ = MISTAKES[name]
        assert not old or old in files[path], name
        files[path] = files[path].replace(old, new, 1) if old else new + files.get(path, "")
    return said_of(files)


def said_of(files: dict[str, str]) -> list[str]:
    tree = DictTree(files)
    return sorted({str(each) for each in (*judge_fleet(tree).problems, *key_mistakes(tree))})


def test_the_fleet_has_no_mistake_by_itself() -> None:
    assert said_of(SOUND) == []


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_once_and_nothing_that_only_follows_from_it(name: str) -> None:
    said = with_mistakes(name)
    words = MISTAKES[name][3]
    assert len(said) == 1 and words in said[0], said


@pytest.mark.parametrize("path", [name for name in SOUND if name.endswith(("yaml", ".yml"))])
def test_of_a_file_that_became_something_else_nothing_else_is_told(path: str) -> None:
    said = said_of({**SOUND, path: GARBAGE})
    assert len(said) == 1 and said[0].startswith(f"{path}:2:1: not YAML"), said


def can_be_told_apart(one: str, other: str) -> bool:
    """In one file, when it can be read to its end, and they stand at different places."""
    (file, old, *_), (second, text, *_) = MISTAKES[one], MISTAKES[other]
    lines = {SOUND.get(file, "").partition(each)[0].count("\n") for each in (old, text) if each}
    return file != second or bool(old and text and len(lines) == 2)


def test_no_mistake_hides_another_and_no_two_make_a_third() -> None:
    wrong = []
    for one, other in combinations(MISTAKES, 2):
        said = with_mistakes(one, other) if can_be_told_apart(one, other) else []
        words = [re.sub(r":\d+:\d+:", ":", MISTAKES[name][3]) for name in (one, other)]
        there = [re.sub(r":\d+:\d+:", ":", line) for line in said]
        if said and (len(said) != 2 or not all(any(each in line for line in there) for each in words)):
            wrong.append(f"{one} + {other}: {said}")
    assert not wrong, "\n".join([f"{len(wrong)} pairs", *wrong[:40]])
