"""A folder's ids are Git's: compared with `git add --all && git write-tree` over trees that hypothesis makes up."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitops.errors import Problem, SourceError
from gitops.source import FolderTree
from gitops.source.objects.bounds import MAX_DEPTH, MAX_FILE, MAX_FILES, Bounds, check_link, check_path

names = st.text(st.sampled_from("ab.-_ é0Z~"), min_size=1, max_size=4).filter(lambda n: n not in (".", ".."))
files = st.tuples(st.just("file"), st.binary(max_size=20), st.booleans())
links = st.tuples(st.just("link"), st.sampled_from(["a", "a/b", "zz"]), st.just(False))
folders = st.recursive(
    st.dictionaries(names, files | links, max_size=4),
    lambda inner: st.dictionaries(names, files | links | inner, max_size=4),
    max_leaves=12,
)


def git(folder: Path, *words: str) -> str:
    env = {**os.environ, "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", *words], cwd=folder, env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


def write(folder: Path, content: dict[str, object]) -> None:
    for name, member in content.items():
        place = folder / name
        if isinstance(member, dict):
            place.mkdir()
            write(place, member)
        elif isinstance(member, tuple) and member[0] == "link":
            place.symlink_to(member[1])
        elif isinstance(member, tuple):
            place.write_bytes(member[1])
            place.chmod(0o755 if member[2] else 0o644)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(folders)
def test_ids_equal_those_of_git(content: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        git(folder, "init", "-q")
        git(folder, "config", "core.excludesFile", "/dev/null")
        write(folder, content)
        git(folder, "add", "--all", "--force")
        tree = FolderTree(folder)
        assert tree.tree_id("") == git(folder, "write-tree")
        for path, entry in tree.entries().items():
            mode, kind, id_ = git(folder, "ls-tree", git(folder, "write-tree"), "--", path).split()[:3]
            assert (int(mode, 8), kind, id_) == (entry.mode, "blob", entry.id)
            assert len(tree.read(path)) == entry.size
            if "/" in path:
                top = path.rpartition("/")[0]
                assert tree.tree_id(top) == git(folder, "rev-parse", f"{git(folder, 'write-tree')}:{top}")


def test_what_git_ignores_stays_out_and_uncommitted_changes_count(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("*.log\n/out/\n")
    for path in ("kept.log", "new.log", "out/x", "sub/out/y", "sub/z.log", "a"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    git(tmp_path, "add", "-f", "kept.log", "a")
    (tmp_path / "a").write_text("changed")
    os.mkfifo(tmp_path / "pipe")
    tree = FolderTree(tmp_path)
    assert set(tree.entries()) == {".gitignore", "kept.log", "sub/out/y", "a"}
    assert tree.read("a") == b"changed"
    git(tmp_path, "add", "--all")
    assert tree.tree_id("") == git(tmp_path, "write-tree")
    assert FolderTree(tmp_path / "sub").tree_id("") == tree.tree_id("sub")
    with pytest.raises(KeyError):
        tree.tree_id("out")


def test_a_repository_inside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    git(tmp_path / "inner", "init", "-q")
    with pytest.raises(SourceError, match="repository of its own"):
        FolderTree(tmp_path)


def test_what_is_wrong_with_a_name_or_a_folder_is_told_beside_all_else(tmp_path: Path) -> None:
    """A name that is no UTF-8 ended in a trace where the folder is a repository; what lies beside a `.git` was gone."""
    git(tmp_path, "init", "-q")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.yml")).write_text("a")
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/.git").write_text("gitdir: ../x")
    (tmp_path / "boot/a.yml").write_text("a")
    problems: list[Problem] = []
    assert {*FolderTree(tmp_path, problems).entries()} == {"boot/a.yml"}
    assert [each.message for each in sorted(problems)] == ["the name is not UTF-8", "is a repository of its own"]
    with pytest.raises(SourceError):
        FolderTree(tmp_path)


@pytest.mark.parametrize(
    "path", ["../x", "a/../b", "a//b", "./a", "a/.git/config", ".GIT/x", "a\nb", "a\x1bb", "", "x" * 300]
)
def test_paths_that_are_refused(path: str) -> None:
    with pytest.raises(SourceError):
        check_path(path)


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "../../x", "a/../../..", "", "b/../../../x"])
def test_links_that_are_refused(target: str) -> None:
    with pytest.raises(SourceError):
        check_link("a/link", target.encode()) if target != ".." else check_link("link", b"..")


def test_links_that_stay_inside() -> None:
    check_link("a/b/link", b"../../c")
    check_link("link", b"a/./b")


def test_bounds() -> None:
    with pytest.raises(SourceError, match="too many"):
        Bounds().add("a", 0o100644, MAX_FILE + 1)
    with pytest.raises(SourceError, match="mode"):
        Bounds().add("a", 0o100666, 1)
    with pytest.raises(SourceError, match="too deep"):
        Bounds().add("/".join("a" * (MAX_DEPTH + 1)), 0o100644, 1)
    bounds = Bounds()
    for number in range(MAX_FILES):
        bounds.add(f"f{number}", 0o100644, 0)
    with pytest.raises(SourceError, match="more than"):
        bounds.add("last", 0o100644, 0)
