"""A checkout may hold other bytes than the commit: what a folder is judged by is what `git add` itself makes of it, and
of a commit its blobs are built, whatever its attributes say."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitops.builders.context import write_context
from gitops.errors import SourceError
from gitops.fleet import load_fleet
from gitops.source import FolderTree
from gitops.source.clone.commits import LocalClone
from gitops.source.working_folder import fleet_in
from gitops.store import Store
from tests.kit.console import toweros
from tests.kit.fleets import TREE
from tests.kit.site import Site

PARTS = [
    b"a", b"\r\n", b"\n", b"\r", b"\0", b"\x01", b"\x1a", b"$Id$", b"$Id: 12 $", b"$Id:\r\n$", b"$", b"b" * 300,
    "é".encode("utf-16"), "é".encode("utf-16-le"), "é".encode("utf-16-be"), "é".encode(), "é".encode("latin-1"),
]  # fmt: skip
WORDS = [
    "text", "-text", "text=auto", "eol=lf", "eol=crlf", "ident", "-ident", "crlf", "-crlf", "crlf=input",
    "binary", "export-subst", "export-ignore", "merge=union", "filter=nobodys", "eol=zzz",
]  # fmt: skip
ENCODINGS = ["UTF-16", "UTF-16LE", "utf-16be", "UTF-16LE-BOM", "UTF-32", "ISO-8859-1", "UTF-8", "latin1"]
contents = st.lists(st.sampled_from(PARTS), max_size=6).map(b"".join)
lines = st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join)


def git(folder: Path, *words: str, code: int = 0) -> str:
    env = {**os.environ, "HOME": str(folder.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *words], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert code or done.returncode == 0, done.stderr
    return "" if done.returncode else done.stdout.strip()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lines, lines, contents, contents, st.sampled_from(["", "true", "input", "false"]))
def test_line_ends_and_keywords_are_those_of_git(near: str, far: str, old: bytes, new: bytes, auto: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "repo"
        git(Path(name), "init", "-q", str(folder))
        git(folder, "config", "core.autocrlf", "false")
        (folder / "sub").mkdir()
        (folder / "sub/a.txt").write_bytes(old)
        git(folder, "add", "--all")
        (folder / ".git/info/attributes").write_text(f"*.md {far}\n")
        (folder / ".gitattributes").write_text(f"# ours\n* {near}\n")
        git(folder, "config", "core.autocrlf", auto) if auto else git(folder, "config", "--unset", "core.autocrlf")
        (folder / "sub/a.txt").write_bytes(new)
        (folder / "b.md").write_bytes(new)
        tree = FolderTree(folder)
        git(folder, "add", "--all")
        assert tree.tree_id("") == git(folder, "write-tree"), (near, far, old, new, auto)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(ENCODINGS), lines, contents)
def test_an_encoding_is_read_as_git_reads_it_or_refused_by_line(encoding: str, words: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "repo"
        git(Path(name), "init", "-q", str(folder))
        (folder / ".gitattributes").write_text(f"# ours\na.txt working-tree-encoding={encoding} {words}\n")
        (folder / "a.txt").write_bytes(data)
        git(folder, "add", "--all", code=1)
        said = git(folder, "write-tree") if (git(folder, "ls-files", "a.txt")) else ""
        git(folder, "rm", "-rq", "--cached", "--ignore-unmatch", ".")
        try:
            assert FolderTree(folder).tree_id("") == said
        except SourceError as error:
            assert error.message.startswith(f"a.txt: .gitattributes:2: is {encoding}, "), error.message
            assert not said or b"\0" in data or data.count(b"\xff\xfe") + data.count(b"\xfe\xff") > 1, said


def test_modes_and_links_are_what_git_remembers_where_the_file_system_has_none(tmp_path: Path) -> None:
    """As below /mnt/c of WSL: each file is a program there, and a link a file with its target's name."""
    git(tmp_path, "init", "-q")
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    (tmp_path / "plain").write_text("x\n")
    (tmp_path / "link").symlink_to("plain")
    git(tmp_path, "add", "--all")
    before = git(tmp_path, "write-tree")
    git(tmp_path, "config", "core.fileMode", "false")
    git(tmp_path, "config", "core.symlinks", "false")
    for name in ("tool", "plain", "new"):
        (tmp_path / name).write_text((tmp_path / name).read_text() if name != "new" else "n")
        (tmp_path / name).chmod(0o755 if name != "tool" else 0o644)
    (tmp_path / "link").unlink()
    (tmp_path / "link").write_text("plain")
    tree = FolderTree(tmp_path)
    git(tmp_path, "add", "--all")
    assert tree.tree_id("") == git(tmp_path, "write-tree") != before


def filtered(folder: Path, config: Path) -> None:
    for path in TREE.entries():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(TREE.read(path))
    (folder / "pkg/hello/.gitattributes").write_text("# secrets\nfile filter=vault\n")
    git(folder, "init", "-q")
    git(folder, "config", "--file", str(config), "filter.vault.clean", "touch /tmp/never; tr a-z A-Z")


@pytest.mark.parametrize("where", ["repository", "user"])
def test_a_filter_that_would_change_a_file_is_refused_by_line_and_never_run(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies here is not what a commit has; without the program Git takes it as it lies, and so do we."""
    folder, home = tmp_path / "fleet", tmp_path / "home"
    home.mkdir()
    folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    config = folder / ".git/config" if where == "repository" else home / ".gitconfig"
    filtered(folder, config)
    done = toweros("validate", folder)
    assert done.exit_code == 1
    assert "pkg/hello/file: pkg/hello/.gitattributes:2: `filter.vault.clean` writes other bytes" in done.stdout
    with pytest.raises(SourceError, match=r"pkg/hello/file: pkg/hello/.gitattributes:2"):
        fleet_in(folder)
    git(folder, "config", "--file", str(config), "--unset", "filter.vault.clean")
    assert FolderTree(folder).read("pkg/hello/file") == TREE.read("pkg/hello/file")


def test_what_is_built_of_a_commit_are_its_blobs_and_a_fresh_clone_of_it_changes_nothing(
    site: Site, tmp_path: Path
) -> None:
    """Attributes that change a checkout, in the commit itself: nothing of TowerOS checks one out."""
    work, plain = site.remote.work, "one\ntwo $Id$\n"
    site.remote.commit(plain, path="pkg/hello/file")
    attributes = "file eol=crlf ident export-subst export-ignore\nwide working-tree-encoding=UTF-16\n"
    (work / "pkg/hello/wide").write_bytes("é\n".encode("utf-16"))
    head = site.remote.commit(attributes, path="pkg/hello/.gitattributes")
    clone = tmp_path / "clone"
    site.remote.git("clone", "-q", str(work), str(clone))
    shown = (clone / "pkg/hello/file").read_bytes()
    assert b"one\r\n" in shown and b"$Id: " in shown, "this is what a checkout has"
    assert (clone / "pkg/hello/wide").read_bytes() == "é\n".encode("utf-16")
    tree = LocalClone(clone).tree(LocalClone(clone).revision(head))
    context = tmp_path / "context"
    context.mkdir()
    write_context(Store.of(site.settings), load_fleet(tree).packages["pkg/hello"], tree, context)
    assert (context / "file").read_text() == plain and (context / "wide").read_text() == "é\n"
    assert FolderTree(clone).tree_id("") == site.remote.git("rev-parse", f"{head}^{{tree}}")
    assert toweros("plan", "-C", clone, "--base", head).stdout.endswith("\nNo changes.\n")
