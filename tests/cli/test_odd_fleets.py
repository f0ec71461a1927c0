"""What `validate` once called good, and what then did not build, was not assembled, or did not start on a box.

One mistake each, at its line, with the fix, and no traceback.
"""

from pathlib import Path

import pytest

from tests.kit.console import toweros
from tests.kit.fleets import IMAGE, SOUND, repo

PACKAGE = {"pkg/h/build.yml": "image: h\n", "pkg/h/x": "x"}
USES = 'services:\n  - {name: hello, image: "@pkg:../pkg/h"}\n'
ROLE = SOUND["roles/vm.yaml"]
KERNEL = f'kernel: {{image: "{IMAGE}", cmdline: console=ttyS0}}\n'


RUNS = 'CMD ["/x"]\n'


def service(keys: str) -> dict[str, str]:
    return {"boot/b.yml": f'services:\n  - {{name: hello, image: "{IMAGE}", {keys}}}\n'}


def built(dockerfile: str) -> dict[str, str]:
    return {**PACKAGE, "pkg/h/Dockerfile": f"FROM scratch\n{dockerfile}", "boot/b.yml": USES}


INIT = f'init: ["{IMAGE}"]\n'
DOCKERFILE, SPEC, VM = "pkg/h/Dockerfile", "boot/b.yml", "roles/vm.yaml"
ODD = {
    "a user that is no container": (service("uid: nobody"), SPEC, 2, "no container is named nobody"),
    "a group that is none": (service("additionalGids: [audio]"), SPEC, 2, "no container is named audio"),
    "a network that is no namespace": (service("net: bridge"), SPEC, 2, "`bridge` is no namespace"),
    "a working folder that is relative": (service("cwd: srv"), SPEC, 2, "write /srv"),
    "a command that is a text": (service("command: /bin/x"), SPEC, 2, "write a list"),
    "a memory with a unit": (service("resources: {memory: {limit: 64M}}"), SPEC, 2, "without a unit"),
    "a sysctl that is a number": (service("sysctl: {a: 1}"), SPEC, 2, "put it into quotes"),
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


SOUND_FILES = {
    "patterns, arguments, stages": f"ARG N=x\nCOPY *.sh ${{N}} ./x /dir/ /y/\nFROM scratch\nCOPY --from=0 a z\n{RUNS}",
    "all of it": f'COPY . /\nADD ./ /a/\nCOPY ["x", "dir/f", "/b/"]\n{RUNS}',
}


@pytest.mark.parametrize("kind", SOUND_FILES)
def test_what_can_be_copied_is_no_mistake(tmp_path: Path, kind: str) -> None:
    repo(tmp_path, **built(SOUND_FILES[kind]), **{"pkg/h/dir/f": "f"})
    done = toweros("validate", tmp_path)
    assert done.exit_code == 0, done.stdout
