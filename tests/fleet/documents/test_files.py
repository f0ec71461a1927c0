"""Files that are not what they look like: found before a box gets them, with the fix."""

import hashlib
from pathlib import Path

import pytest

from gitops.errors import FleetError
from gitops.fleet import load_fleet
from gitops.fleet.documents.files import LINK_MESSAGE, is_pointer
from gitops.source import FolderTree
from gitops.workflows.composing.judging import judged
from tests.kit.console import git
from tests.kit.fleets import IMAGE, SOUND, WANTED, lock, package, repo

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 99\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHPr5f+zKZIauhihunp+XVXSqbXKdnt6Y5IENWvYYr4O"
ALLOWED = f'ada namespaces="git" {KEY}\n'
IMAGES = f"# what tags of images mean; made by `toweros lock`\nweb.example/nginx:1.27 sha256:{'0' * 64}\n"
LOCKED = {"pkg/hello/packages.in": WANTED, "pkg/hello/packages.lock": lock("1:10.0p1-7")}
SERVICES = "".join(f"  - {{name: {name}, image: {IMAGE}}}\n" for name in ("docker", "compose"))
APP = {
    "boot/docker.yml": f"services:\n{SERVICES}",
    "boot/compose/net/docker-compose.yml": f"services:\n  core: {{image: {IMAGE}}}\n",
    "roles/vm.yaml": SOUND["roles/vm.yaml"].replace(
        "b.yml]", "b.yml, boot/docker.yml]\ncompose: [{app: boot/compose/net}]"
    ),
}
"""A role with user containers."""
SOURCE = "files:\n  - {path: usr/bin/tool, source: %s, mode: '0755'}\n"


def mistakes(folder: Path, change: dict[str, str | None]) -> list[str]:
    with pytest.raises(FleetError) as caught:
        load_fleet(repo(folder, **change))
    return [str(problem) for problem in caught.value.problems]


def test_a_pointer_of_git_lfs_is_no_program(tmp_path: Path) -> None:
    """Its text would be what the box runs."""
    pointers = {"pkg/hello/tool": POINTER, "pkg/hello/deep/tool": POINTER, "README": POINTER}
    found = mistakes(tmp_path, {**package("pkg/hello"), **pointers})
    assert [text.split(":")[0] for text in found] == ["pkg/hello/deep/tool", "pkg/hello/tool"]
    assert "git lfs migrate export" in found[0]


def test_a_pointer_beside_a_compose_file_is_none_either(tmp_path: Path) -> None:
    found = mistakes(tmp_path, {"apps/a/docker-compose.yml": "services: {}\n", "apps/a/data.bin": POINTER})
    assert any("apps/a/data.bin" in text and "Git LFS" in text for text in found)


def test_a_pointer_is_no_source(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, {"boxes/two.yaml": "role: vm\n" + SOURCE % "tool", "tool": POINTER})
    assert found.startswith("boxes/two.yaml:3:") and "Git LFS" in found


def test_a_link_is_no_source_of_a_box(tmp_path: Path) -> None:
    """Its target's name would be the file."""
    (tmp_path / "tool").symlink_to("real")
    tree = repo(tmp_path, **{"boxes/two.yaml": "role: vm\n" + SOURCE % "tool", "real": "x"})
    with pytest.raises(FleetError, match="tool is a link"):
        load_fleet(tree)


READ = [
    "fleet.yaml",
    "roles/vm.yaml",
    "boxes/two.yaml",
    "boot/b.yml",
    "images.lock",
    "keys/allowed_signers",
    "keys/authorized_keys",
    "keys/root.json",
    "keys/openpgp/ada.asc",
    "pkg/hello/build.yml",
    "pkg/hello/Dockerfile",
    "pkg/hello/packages.in",
    "pkg/hello/packages.lock",
    "boot/compose/net/docker-compose.yml",
]


@pytest.mark.parametrize("path", READ)
def test_a_pointer_in_place_of_what_is_read_is_the_one_mistake_told(tmp_path: Path, path: str) -> None:
    """As boot specs or signers it was a row of mistakes that said nothing of LFS; as authorized_keys, nothing."""
    tree = repo(tmp_path, **{**package("pkg/hello"), **LOCKED, **APP, path: POINTER})
    assert [str(each).split(":")[0] for each in judged(tree, lambda: None).problems] == [path]
    assert "Git LFS" in judged(tree, lambda: None).problems[0].message


@pytest.mark.parametrize("path", [path for path in READ if "openpgp" not in path and "allowed" not in path])
def test_a_link_in_place_of_what_is_read_is_the_one_mistake_told(tmp_path: Path, path: str) -> None:
    """Git has the name of its target, and that is what boxes had as their authorized_keys."""
    repo(tmp_path, **{**package("pkg/hello"), **LOCKED, **APP, "images.lock": ""})
    (tmp_path / path).rename(tmp_path / "real")
    (tmp_path / path).symlink_to("../" * path.count("/") + "real")
    (found,) = judged(FolderTree(tmp_path), lambda: None).problems
    assert (found.file, found.message, found.hint) == (path, LINK_MESSAGE, "write the file itself")


def test_a_pointer_in_a_folder_that_a_build_takes_besides_is_none_either(tmp_path: Path) -> None:
    build = {"pkg/hello/build.yml": "image: hello\nextra-sources: ['../../src:src']\n"}
    (found,) = mistakes(tmp_path, {**package("pkg/hello"), **build, "src/blob": POINTER, "other/blob": POINTER})
    assert found.startswith("src/blob:1:1: is a pointer")


@pytest.mark.parametrize("address", ["https://hawser.github.com/spec/v1", "http://git-media.io/v/2"])
def test_a_pointer_of_an_old_git_lfs_is_one(tmp_path: Path, address: str) -> None:
    old = POINTER.replace("https://git-lfs.github.com/spec/v1", address).replace("\n", "\r\n")
    (found,) = mistakes(tmp_path, {"boxes/two.yaml": "role: vm\n" + SOURCE % "tool", "tool": old})
    assert "tool is a pointer" in found


# --- as Windows writes them -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [path for path in READ if not path.startswith(("keys/o", "keys/r"))])
def test_windows_line_ends_change_nothing(tmp_path: Path, path: str) -> None:
    """A clone with `core.autocrlf` has them: packages.lock did not fit packages.in, images.lock was none."""
    lists = {"keys/allowed_signers": ALLOWED, "keys/authorized_keys": f"{KEY} ada\n", "images.lock": IMAGES}
    repo(tmp_path, **{**package("pkg/hello"), **LOCKED, **APP, **lists})
    before = load_fleet(FolderTree(tmp_path))
    (tmp_path / path).write_bytes((tmp_path / path).read_bytes().replace(b"\n", b"\r\n"))
    found = judged(FolderTree(tmp_path), lambda: None)
    assert not found.problems and found.fleet.policy == before.policy
    assert found.fleet.packages["pkg/hello"].lock == before.packages["pkg/hello"].lock
    assert found.fleet.boxes["one"].spec.services == before.boxes["one"].spec.services


@pytest.mark.parametrize("script", ["#!/bin/sh\r\necho\r\n", "\ufeff#!/bin/sh\necho\n"])
@pytest.mark.parametrize("path", ["tool", "pkg/hello/tool", "boot/compose/net/tool"])
def test_a_script_whose_interpreter_no_box_finds_is_a_mistake(tmp_path: Path, script: str, path: str) -> None:
    repo(tmp_path, **{**package("pkg/hello"), **APP, "boxes/two.yaml": "role: vm\n" + SOURCE % "tool", "tool": "x"})
    (tmp_path / path).write_bytes(script.encode())
    with pytest.raises(FleetError) as caught:
        load_fleet(FolderTree(tmp_path))
    (found,) = map(str, caught.value.problems)
    assert "which no box can run; save it with Unix line ends" in found
    assert found.startswith("boxes/two.yaml:3:" if path == "tool" else f"{path}:1:1")


def test_a_configuration_with_windows_line_ends_may_be_meant_so(tmp_path: Path) -> None:
    repo(tmp_path, **{**package("pkg/hello"), "boxes/two.yaml": "role: vm\n" + SOURCE % "tool", "tool": "x"})
    for path in ("tool", "pkg/hello/tool"):
        (tmp_path / path).write_bytes(b"a = 1\r\n")
    assert load_fleet(FolderTree(tmp_path))


@pytest.mark.parametrize(("path", "text"), [("allowed_signers", ALLOWED), ("authorized_keys", f"{KEY} ada\n")])
def test_a_byte_order_mark_makes_nobody_of_the_first_in_a_list(tmp_path: Path, path: str, text: str) -> None:
    """ssh-keygen takes it for a letter of the name: whoever `rules` call `ada` is somebody else."""
    (found,) = mistakes(tmp_path, {f"keys/{path}": f"\ufeff{text}# \u200b\n"})
    assert found.startswith(f"keys/{path}:1:1: a character that nobody sees, U+FEFF") and "byte order mark" in found
    (found,) = mistakes(tmp_path, {f"keys/{path}": f"# x\n{text[:2]}\u200b{text[2:]}"})
    assert found.startswith(f"keys/{path}:2:") and "U+200B" in found


def test_a_byte_order_mark_before_packages_in_is_no_word(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, {**package("pkg/hello"), **LOCKED, "pkg/hello/packages.in": f"\ufeff{WANTED}"})
    assert "toweros lock pkg/hello" in found, "the lock was made from other bytes"


def test_only_a_pointer_is_one() -> None:
    assert is_pointer(POINTER.encode())
    assert not is_pointer(POINTER.encode() + bytes(2000)) and not is_pointer(b"version 2\n")


ATTRIBUTES = "*.bin filter=lfs diff=lfs merge=lfs -text\npkg/hello/plain.bin -filter\n"
KEPT = {".gitattributes": ATTRIBUTES, "pkg/hello/tool.bin": "real bytes\n", "pkg/hello/plain.bin": "plain\n"}


def test_a_file_that_git_lfs_keeps_is_a_pointer_in_the_commit_whatever_the_folder_shows(tmp_path: Path) -> None:
    """With git-lfs installed a clone has the file itself: `validate` saw no mistake, and the commit did not deploy."""
    folder = tmp_path / "fleet"
    repo(folder, **{**package("pkg/hello"), **KEPT, "docs/large.bin": "x" * 100, "docs/none.bin": ""})
    assert load_fleet(FolderTree(folder)), "no Git, no attributes"
    git(folder, "init", "-q")
    tree = FolderTree(folder)
    with pytest.raises(FleetError) as caught:
        load_fleet(tree)
    (problem,) = caught.value.problems
    assert problem.file == "pkg/hello/tool.bin" and "Git LFS" in problem.message
    assert tree.read("pkg/hello/plain.bin") == b"plain\n" and tree.read("docs/none.bin") == b""
    said = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 100\n"
    assert tree.read("docs/large.bin") == said % hashlib.sha256(b"x" * 100).hexdigest().encode()
    (folder / "docs/large.bin").write_text(POINTER)
    assert FolderTree(folder).read("docs/large.bin") == POINTER.encode(), "of a clone without git-lfs"


@pytest.mark.parametrize("before", ["\n", " ", "\r\n\t"])
def test_space_before_a_pointer_makes_it_no_other_file(before: str) -> None:
    """git-lfs reads it like that (lfs/pointer.go, DecodePointer)."""
    assert is_pointer((before + POINTER).encode())


STAND_INS = {"/annex/objects/SHA256E-s9--0a.bin\n": "git-annex", "\0GITCRYPT\0" + "x" * 40: "git-crypt"}


@pytest.mark.parametrize("text", STAND_INS, ids=["git-annex", "git-crypt"])
def test_what_git_annex_and_git_crypt_leave_in_git_is_no_file_for_a_box(tmp_path: Path, text: str) -> None:
    (found,) = mistakes(tmp_path / "a", {**package("pkg/hello"), "pkg/hello/tool": text, "README": text})
    assert found.startswith("pkg/hello/tool:1:1: is ") and STAND_INS[text] in found
    (found,) = mistakes(tmp_path / "b", {"boxes/two.yaml": "role: vm\n" + SOURCE % "tool", "tool": text})
    assert found.startswith("boxes/two.yaml:3:") and STAND_INS[text] in found
