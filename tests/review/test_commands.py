"""A container for which nobody names a command is found before a box gets it: at validate, in the plan, at assembly."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gitops.assemble.root.commands import check_commands
from gitops.errors import AssembleError
from gitops.fleet import load_fleet
from gitops.model import Image, Json, Revision
from gitops.review.commands import Commands
from gitops.settings import Settings
from gitops.store import Store
from gitops.workflows.images.missing import missing
from gitops.workflows.preview import Question, preview
from tests.kit.console import toweros
from tests.kit.fleets import TREE, package
from tests.kit.images import made
from tests.kit.oci import tar
from tests.simulators.registry import DockerRegistry
from tests.simulators.tree import DictTree

REVISION = Revision("topic", "bb" * 20, 7, 1_790_000_100)
NOWHERE = "FROM scratch\nCOPY file /file\n"
APP = (
    "services:\n  idle: {image: '@pkg:../pkg/app'}\n"
    "  says: {image: '@pkg:../pkg/app', command: [/file]}\n  begins: {image: '@pkg:../pkg/app', entrypoint: /file}\n"
)


def fleet(dockerfile: str = NOWHERE, keys: str = "", build: str = "", more: Mapping[str, str] = {}) -> DictTree:
    boot = (
        'kernel: {image: "@pkg:../pkg/kernel", cmdline: quiet}\ninit: ["@pkg:../pkg/init"]\n'
        f'services:\n  - {{name: app, image: "@pkg:../pkg/app"{keys}}}\n'
    )
    folder = package("pkg/app", dockerfile=dockerfile) | {"pkg/app/build.yml": f"image: app\n{build}"}
    return TREE.with_files({**folder, "boot/a.yml": boot, **more})


def lacking(tree: DictTree) -> list[str]:
    found = load_fleet(tree)
    return [str(each) for each in Commands(tree, found).lacking()]


def test_a_package_without_a_command_is_named_where_a_box_takes_it() -> None:
    (words,) = lacking(fleet())
    assert (
        words.startswith("boot/a.yml:4:")
        and "one, three, two: services.app names no command, and @pkg:pkg/app has none" in words
    )
    assert "CMD or ENTRYPOINT" in words
    (words,) = lacking(fleet('FROM scratch AS a\nCMD ["/x"]\nFROM scratch AS b\nFROM b\n'))
    assert "services.app" in words, "what another stage runs is not what the last one runs"
    below = package("pkg/below") | {"pkg/app/Dockerfile": "ARG B\nFROM ${B}\n"}
    (words,) = lacking(fleet(build='buildArgs: ["B=@lkt:pkg:../below"]\n', more=below))
    assert "services.app" in words, "nor does the sibling that it stands on"


@pytest.mark.parametrize(
    ("dockerfile", "keys", "build"),
    [
        (NOWHERE + 'CMD ["/file"]\n', "", ""),
        (NOWHERE + "ENTRYPOINT /file\n", "", ""),
        ('FROM scratch AS a\nCMD ["/file"]\nFROM a\n', "", ""),
        (NOWHERE + """LABEL org.mobyproject.config='{"command": ["/file"]}'\n""", "", ""),
        (NOWHERE, ", command: [/file]", ""),
        (NOWHERE, "", "config: {command: [/file]}\n"),
        (f"FROM web.example/x@sha256:{'0' * 64}\n", "", ""),
        (f"FROM web.example/x@sha256:{'0' * 64}\nCMD []\n", "", ""),
    ],
)
def test_a_command_from_anywhere_is_one(dockerfile: str, keys: str, build: str) -> None:
    assert lacking(fleet(dockerfile, keys, build)) == []


def test_validate_says_it_with_file_and_line(tmp_path: Path) -> None:
    tree = fleet(more={"keys/authorized_keys": "ssh-ed25519 AAAA ada\n", "keys/root.json": "{}"})
    for path in tree.entries():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(tree.read(path))
    done = toweros("validate", tmp_path)
    assert done.exit_code == 1 and [line.partition(":")[0] for line in done.stderr.splitlines()] == [
        "warning",
        "1 mistake",
    ]
    assert done.stdout.startswith("boot/a.yml:4: one, three, two: services.app names no command"), done.stdout


def test_what_a_box_adds_is_its_command() -> None:
    own = {f"boxes/{name}.yaml": "role: vm\nservices: {app: {command: [/file]}}\n" for name in ("one", "two")}
    (words,) = lacking(fleet(more=own))
    assert "three: services.app" in words


def test_a_user_container_is_looked_at_too() -> None:
    docker = "".join(
        f'  - {{name: {name}, image: "@pkg:../pkg/app", command: [/x]}}\n' for name in ("docker", "compose")
    )
    more = {
        "app/docker-compose.yml": APP,
        "boot/d.yml": f"services:\n{docker}",
        "roles/vm.yaml": "boot: [boot/a.yml, boot/d.yml]\ncompose: [{app: app}]\n",
    }
    (words,) = lacking(fleet(keys=", command: [/file]", more=more))
    assert words.startswith("app/docker-compose.yml:2:") and "app: idle names no command" in words


def test_the_plan_says_it_of_what_only_the_image_knows(tmp_path: Path) -> None:
    """Of a package that stands on an image of others, once it is built; of one by digest, as its registry has it."""
    tree = fleet(f"FROM web.example/x@sha256:{'0' * 64}\n")
    built, store = load_fleet(tree).packages["pkg/app"], Store.open(tmp_path / "store")
    assert preview(Question(None, (REVISION, tree)), store).warnings == ()
    with store.lease.held():
        store.builds.save_image(Image(built.tag, built.key, {"Env": ["A=1"]}, ("0" * 64,)))
    (words,) = preview(Question(None, (REVISION, tree)), store).warnings
    assert "services.app names no command" in words and words.startswith("boot/a.yml:4: ")
    with DockerRegistry(tmp_path / "registry") as server:
        idle, busy = made([tar({"x": b"x"})]), made([tar({"y": b"y"})], config={"Cmd": ["/y"]})
        names = [f"{server.address}/{n}@{one.push(server.address, n)}" for n, one in (("idle", idle), ("busy", busy))]
        rows = "".join(f"  - {{name: s{number}, image: '{name}'}}\n" for number, name in enumerate(names))
        other = fleet(more={"boot/a.yml": f"kernel: {{image: '{names[1]}', cmdline: quiet}}\nservices:\n{rows}"})
        (words,) = missing(load_fleet(other), other, Settings(), None)
    assert "services.s0 names no command, and" in words and words.startswith("boot/a.yml:3: ")


@pytest.mark.parametrize(("config", "fits"), [({}, False), ({"Cmd": []}, False), ({"Entrypoint": ["/x"]}, True)])
def test_a_release_is_not_made_for_it(config: Json, fits: bool) -> None:
    """The error of that box alone: `tests/test_one_box.py` has what becomes of the others."""
    box = load_fleet(fleet(NOWHERE + "CMD /x\n")).boxes["one"]
    if fits:
        check_commands(box, lambda _: config)
        return
    with pytest.raises(AssembleError, match=r"services\.app names no command, and @pkg:pkg/app has none"):
        check_commands(box, lambda _: config)
