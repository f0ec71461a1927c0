"""A remote that is a folder: what is wanted comes, and nothing else; nothing of its configuration or of ours counts."""

import zlib
from pathlib import Path

import pygit2
import pytest

from gitops.errors import ProcessError, SourceError
from gitops.source import GitSource
from gitops.source.remotes import packing
from tests.kit.remote import Remote


def clone(tmp_path: Path) -> pygit2.Repository:
    return pygit2.Repository(str(tmp_path / "state/source/clone.git"))


def test_nothing_comes_but_what_is_wanted(remote: Remote, source: GitSource, tmp_path: Path) -> None:
    remote.git("checkout", "-q", "-b", "side")
    other = remote.commit("of nobody")
    remote.git("tag", "-a", "-m", "x", "v9.0.0")
    remote.git("push", "-q", "origin", "v9.0.0", "side:refs/pull/1/head")
    remote.git("checkout", "-q", "main")
    source.mark_deployed(source.poll())
    assert other not in clone(tmp_path) and remote.git("rev-parse", "v9.0.0") not in clone(tmp_path)


def test_the_next_commit_brings_itself_alone(remote: Remote, source: GitSource, tmp_path: Path) -> None:
    source.mark_deployed(source.poll())
    remote.commit("two")
    source.poll()
    packs = sorted(
        (tmp_path / "state/source/clone.git/objects/pack").glob("*.pack"), key=lambda file: file.stat().st_mtime
    )
    counts = [int.from_bytes(file.read_bytes()[8:12], "big") for file in packs]
    assert sorted(counts) == [3, 4]  # commit, tree and README.md; and fleet.yaml


def test_a_branch_that_went_back_needs_no_objects(remote: Remote, source: GitSource, tmp_path: Path) -> None:
    first = remote.git("rev-parse", "HEAD")
    remote.commit("two")
    source.poll()
    remote.git("reset", "-q", "--hard", first)
    remote.git("push", "-q", "-f", "origin", "main")
    assert source.poll().commit == first
    assert len([*(tmp_path / "state/source/clone.git/objects/pack").glob("*.pack")]) == 1


def test_no_configuration_is_read(
    remote: Remote, source: GitSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git gives up at the first value that it cannot read."""
    (tmp_path / ".gitconfig").write_text("[core\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with (remote.bare / "config").open("a") as config:
        config.write("[pack]\n\twindow = many\n\tcompression = best\n")
    assert source.poll().sequence == 1


def test_an_object_that_is_not_what_its_name_says_does_not_come(
    remote: Remote, source: GitSource, tmp_path: Path
) -> None:
    blob = remote.git("rev-parse", "HEAD:README.md")
    place = remote.bare / "objects" / blob[:2] / blob[2:]
    place.chmod(0o644)
    place.write_bytes(zlib.compress(b"blob 4\0evil"))
    with pytest.raises(SourceError, match=r"unreachable: .*(evil|[0-9a-f]{40})"):
        source.poll()
    assert not [*(tmp_path / "state/source/clone.git/objects/pack").iterdir()]


@pytest.mark.parametrize(("bound", "most"), [("MAX_OBJECTS", 3), ("MAX_PACK", 200)])
def test_what_is_too_large_is_refused(
    remote: Remote, source: GitSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(packing, bound, most)
    with pytest.raises(SourceError, match="too large to fetch") as caught:
        source.poll()
    assert caught.value.reason == "TooLarge"
    assert not [*(tmp_path / "state/source/clone.git").glob(f"{packing.INCOMING}*")]


def test_it_takes_no_longer_than_it_may(source: GitSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "SECONDS", 0.0)
    with pytest.raises(SourceError, match="too long to fetch") as caught:
        source.poll()
    assert caught.value.transient


def test_without_git_it_is_said(source: GitSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/prlimit").symlink_to("/usr/bin/prlimit")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ProcessError, match="git is not installed"):
        source.poll()


def test_names_that_no_ref_may_have_hide_no_other(remote: Remote, source: GitSource) -> None:
    head = remote.git("rev-parse", "HEAD")
    with (remote.bare / "packed-refs").open("ab") as packed:
        packed.write(b"%s refs/tags/\xff\xfe\n%s refs/tags/a..b\n" % (head.encode(), head.encode()))
    (remote.bare / "refs/tags/broken").write_text("junk\n")
    assert source.poll().commit == head
