"""Files that are not what they look like: found before a box gets them, with the fix."""

from pathlib import Path

import pytest

from gitops.errors import FleetError
from gitops.fleet import load_fleet
from gitops.fleet.documents.files import is_pointer
from tests.kit.fleets import package, repo

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 99\n"
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


@pytest.mark.parametrize(
    ("name", "shown", "code"),
    [
        ("pkg/hello/a\u200bb", r"pkg/hello/a\u200bb", "U+200B"),
        ("pkg/hello/\u202egpj.exe", r"pkg/hello/\u202egpj.exe", "U+202E"),
        ("docs/a\u00adb", r"docs/a\xadb", "U+00AD"),
    ],
)
def test_a_name_with_what_nobody_sees_is_shown_and_refused(tmp_path: Path, name: str, shown: str, code: str) -> None:
    """Control characters are refused before, where a tree is read (tests/source)."""
    (found,) = mistakes(tmp_path, {name: "x"})
    assert found.startswith(shown) and code in found and found.isprintable()


def test_names_in_all_scripts_are_names(tmp_path: Path) -> None:
    assert load_fleet(repo(tmp_path, **{"pkg/hello/größe": "x", "docs/日本 語": "x"}))


@pytest.mark.parametrize("name", ["site-", "a--", "-a"])
def test_a_box_has_a_name_that_a_host_may_have(tmp_path: Path, name: str) -> None:
    (found,) = mistakes(tmp_path, {f"boxes/{name}.yaml": "role: vm\n"})
    assert "between them, `-`" in found


def test_only_a_pointer_is_one() -> None:
    assert is_pointer(POINTER.encode())
    assert not is_pointer(POINTER.encode() + bytes(2000)) and not is_pointer(b"version 2\n")
