"""What `validate` once called good, and what then did not build, was not assembled, or did not start on a box.

One mistake each, at its line, with the fix, and no traceback.
"""

from pathlib import Path

import pytest

from tests.kit.console import toweros
from tests.kit.fleets import IMAGE, SOUND, repo
from tests.kit.people import People

PACKAGE = {"pkg/h/build.yml": "image: h\n", "pkg/h/x": "x"}
USES = 'services:\n  - {name: hello, image: "@pkg:../pkg/h"}\n'
ROLE = SOUND["roles/vm.yaml"]
KERNEL = f'kernel: {{image: "{IMAGE}", cmdline: console=ttyS0}}\n'


RUNS = 'CMD ["/x"]\n'


def service(keys: str) -> dict[str, str]:
    return {"boot/b.yml": f'services:\n  - {{name: hello, image: "{IMAGE}", {keys}}}\n'}


def built(dockerfile: str) -> dict[str, str]:
    return {**PACKAGE, "pkg/h/Dockerfile": f"FROM scratch\n{dockerfile}", "boot/b.yml": USES}


BELOW = {**built(""), "pkg/h/Dockerfile": f"FROM scratch AS a\nFROM a\nRUN --mount=type=cache,target=/c /x\n{RUNS}"}
INIT = f'init: ["{IMAGE}"]\n'
DOCKERFILE, SPEC, VM = "pkg/h/Dockerfile", "boot/b.yml", "roles/vm.yaml"
ODD = {
    "a user that is no container": (service("uid: nobody"), SPEC, 2, "no container is named nobody"),
    "a group that is none": (service("additionalGids: [audio]"), SPEC, 2, "no container is named audio"),
    "a network that is no namespace": (service("net: bridge"), SPEC, 2, "`bridge` is no namespace"),
    "a working folder that is relative": (service("cwd: srv"), SPEC, 2, "write /srv"),
    "a command that is a text": (service("command: /bin/x"), SPEC, 2, "write a list"),
    "a name without a namespace of its own": (service("hostname: ntp"), SPEC, 2, "add `uts: new`"),
    "a namespace kept at a relative path": (service("runtime: {bindNS: {net: x}}"), SPEC, 2, "no absolute path"),
    "a namespace of containerd's for what it does not run": (
        {SPEC: service("runtime: {namespace: x}")[SPEC].replace("services", "onboot")},
        SPEC,
        2,
        "make it a service",
    ),
    "an interface that needs another": (
        service("net: new, runtime: {interfaces: [{name: v, add: vlan}]}"),
        SPEC,
        2,
        "ip link add",
    ),
    "a volume for another processor": (
        {SPEC: "volumes:\n  - {name: v, platforms: [linux/arm64]}\n"},
        SPEC,
        2,
        "linux/amd64",
    ),
    "a bind to a relative path": (service("binds: ['/a:b']"), SPEC, 2, "write /b"),
    "a label that no box takes": (
        {**built("COPY x /x\n" + RUNS), "pkg/h/build.yml": "image: h\nconfig: {hostname: ntp}\n"},
        SPEC,
        2,
        "add `uts: new`",
    ),
    "a check of no host": ({VM: ROLE.replace("127.0.0.1:8080", ":80")}, VM, 5, "names no host"),
    "arguments of the addon": (
        {VM: ROLE.replace("cmdline: [quiet]\n", ""), SPEC: "kernel: {cmdline: toweros.box=x}\n"},
        SPEC,
        1,
        "the signed addon",
    ),
    "RUN where nothing is": (built("RUN /x\n" + RUNS), DOCKERFILE, 2, "no program is in it"),
    "RUN where nothing is, below a stage": (BELOW, DOCKERFILE, 3, "no program is in it"),
    "signatures, and nobody to give them": (
        {"fleet.yaml": "poll: 9\nsource: {sign: head}\n"},
        "fleet.yaml",
        2,
        "Turn it on",
    ),
    "signed tags, and nobody to sign them": (
        {"fleet.yaml": 'source:\n  tags: "v*"\n  sign: both\n', "keys/allowed_signers": "# nobody yet\n"},
        "fleet.yaml",
        3,
        "Turn it on",
    ),
    "an address that another box has": (
        {"boxes/one.yaml": "role: vm\nnetwork: {address: 192.0.2.10/25}\n"},
        "boxes/two.yaml",
        4,
        "is one's already",
    ),
    "an address of another box at one site": (
        {f"boxes/{name}.yaml": "role: vm\nsite: lab\nnetwork: {address: 10.0.0.2/24}\n" for name in ("one", "two")},
        "boxes/two.yaml",
        3,
        "name each box's `site`",
    ),
    "an address of all": (
        {"boxes/one.yaml": "role: vm\nnetwork: {address: 10.0.0.0/24}\n"},
        "boxes/one.yaml",
        2,
        "all of",
    ),
    "an address that is the gateway": (
        {"boxes/one.yaml": "role: vm\nnetwork: {address: 10.0.0.1/24, gateway: 10.0.0.1}\n"},
        "boxes/one.yaml",
        2,
        "own gateway",
    ),
    "a memory with a unit": (service("resources: {memory: {limit: 64M}}"), SPEC, 2, "without a unit"),
    "a sysctl that is a number": (service("sysctl: {a: 1}"), SPEC, 2, "put it into quotes"),
    "a kernel without its modules": ({SPEC: f'kernel: {{image: "{IMAGE}", tar: none}}\n'}, SPEC, 1, "take `tar` out"),
    "a file of nobody": (
        {SPEC: "files:\n  - {path: etc/x, contents: x, uid: nobody}\n"},
        SPEC,
        2,
        "no container is named nobody",
    ),
    "no kernel": ({"boot/a.yml": SOUND["boot/a.yml"].replace(KERNEL, "")}, VM, 1, "names a kernel"),
    "no init": ({"boot/a.yml": SOUND["boot/a.yml"].replace(INIT, "")}, VM, 1, "names an init"),
    "a file below a file": (
        {VM: ROLE + "  - {path: /etc/motd/x, contents: x}\n"},
        VM,
        9,
        "/etc/motd is a file or link",
    ),
    "labels that are a list": ({"boxes/one.yaml": "role: vm\nlabels: [a]\n"}, "boxes/one.yaml", 2, "`{KEY: VALUE}`"),
    "a file that nobody has": (built("COPY y /x\n" + RUNS), DOCKERFILE, 2, "there is no `y` in pkg/h"),
    "a folder that nobody has": (built("ADD bin/ /bin/\n" + RUNS), DOCKERFILE, 2, "there is no `bin/`"),
    "a file beside the package": (built("COPY ../x /x\n" + RUNS), DOCKERFILE, 2, "extra-sources"),
    "a copy without a place": (built("COPY x\n" + RUNS), DOCKERFILE, 2, "COPY FILE /PLACE"),
    "an instruction that says nothing": (built("USER\n" + RUNS), DOCKERFILE, 2, "USER says nothing"),
    "a command in single quotes": (built("CMD ['/x']\n"), DOCKERFILE, 2, '["PROGRAM", "WORD"]'),
    "no command at all": (built("COPY x /x\n"), SPEC, 2, "services.hello names no command"),
    "no Dockerfile": ({"pkg/h/build.yml": "image: h\n", SPEC: USES}, "pkg/h/build.yml", 1, "there is no Dockerfile"),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_would_fail_later_is_a_mistake_now(tmp_path: Path, kind: str) -> None:
    change, file, line, words = ODD[kind]
    repo(tmp_path, **change)
    done = toweros("validate", tmp_path)
    assert done.exit_code == 1 and "Traceback" not in done.stdout + done.stderr
    told = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert len(told) == 1 and told[0].startswith(f"{file}:{line}:") and words in told[0], done.stdout


def test_another_mistake_hides_no_file_that_nobody_has_and_nothing_strange(tmp_path: Path) -> None:
    """What is wrong with one package, role or box says nothing of the others."""
    odd = built("COPY y /x\n" + RUNS) | {SPEC: USES + f'  - {{name: two, image: "{IMAGE}", uid: nobody}}\n'}
    other = {"pkg/other/build.yml": "imag: other\n", "pkg/other/Dockerfile": "FROM scratch\nCOPY z /z\n"}
    other |= {"roles/other.yaml": "bogus: 1\n", "boxes/other.yaml": "role: other\n"}
    repo(tmp_path, **odd, **other)
    told = toweros("validate", tmp_path).stdout
    assert (
        "there is no `y` in pkg/h" in told and "no container is named nobody" in told and "unknown key `bogus`" in told
    )
    assert "unknown key `imag`" in told and "there is no `z`" not in told, "that package has mistakes of its own"


SOUND_FILES = {
    "programs that are there": f"COPY x /x\nRUN /x\nFROM scratch\nRUN --mount=from=0,target=/m a\n{RUNS}",
    "patterns, arguments, stages": f"ARG N=x\nCOPY *.sh ${{N}} ./x /dir/ /y/\nFROM scratch\nCOPY --from=0 a z\n{RUNS}",
    "all of it": f'COPY . /\nADD ./ /a/\nCOPY ["x", "dir/f", "/b/"]\n{RUNS}',
}


@pytest.mark.parametrize("kind", SOUND_FILES)
def test_what_can_be_copied_is_no_mistake(tmp_path: Path, kind: str) -> None:
    repo(tmp_path, **built(SOUND_FILES[kind]), **{"pkg/h/dir/f": "f"})
    done = toweros("validate", tmp_path)
    assert done.exit_code == 0, done.stdout


KEPT_APART = {"boxes/one.yaml": "role: vm\nsite: one\nnetwork: {address: 10.0.0.2/24}\n"}
KEPT_APART |= {"boxes/two.yaml": KEPT_APART["boxes/one.yaml"].replace("one", "two")}


def test_one_private_address_at_two_sites_is_no_mistake(tmp_path: Path) -> None:
    repo(tmp_path, **KEPT_APART, **{"boxes/three.yaml": "role: vm\nnetwork: {address: 10.0.0.3/31}\n"})
    assert toweros("validate", tmp_path).exit_code == 0
    (tmp_path / "boxes/three.yaml").write_text("role: vm\nnetwork: {address: 10.0.0.2/31}\n")
    told = toweros("validate", tmp_path).stdout
    assert "10.0.0.2 is three's already" in told and "boxes/two.yaml" in told


def test_a_repo_without_keys_is_looked_at_with_the_settings_that_name_them(tmp_path: Path, people: People) -> None:
    repo(tmp_path / "fleet", **{"fleet.yaml": "source: {sign: head}\n"})
    config, signers = tmp_path / "toweros.toml", tmp_path / "signers"
    config.write_text('allowed_signers = "signers"\n')
    for listed, code in (
        ("", 1),
        (people.allowed("ada", options='valid-before="20200101"'), 1),
        (people.allowed("ada"), 0),
    ):
        signers.write_text(listed)
        assert toweros("validate", tmp_path / "fleet", "--config", config).exit_code == code, listed
