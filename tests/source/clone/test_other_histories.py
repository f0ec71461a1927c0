"""Git is talked round: refs/replace, notes, info/grafts, tags of a branch's name, repositories among files. Real git.

Whoever may push to a remote, or to whom a clone belongs, can make `git log` say something else of a commit. What is
planned, judged and verified stays what the commit says.
"""

import functools
import subprocess
from collections.abc import Callable
from pathlib import Path

import pygit2
import pytest

from gitops.errors import SourceError
from gitops.forges.forge import Pull
from gitops.model import Revision
from gitops.settings import Settings
from gitops.source import Access
from gitops.source.clone.commits import LocalClone
from gitops.source.clone.deploying import DeployingClone
from gitops.source.clone.trees import FolderTree
from gitops.store import Store
from gitops.workflows.question import of_clone
from gitops.workflows.reviews.rounds import Reviews
from tests.kit.console import git, toweros
from tests.kit.desk import hub
from tests.kit.people import people
from tests.kit.pulls import push_pull, reviews
from tests.kit.remote import Remote
from tests.kit.servers import files
from tests.kit.trust import Story, head
from tests.simulators.https import TOKEN, GitHttps
from tests.simulators.sshd import Sshd

__all__ = ["head", "hub", "people", "reviews"]


def seen(clone: LocalClone, name: str) -> tuple[Revision, list[str], int, bytes]:
    """All that is asked of a commit."""
    revision = clone.revision(name)
    return (
        revision,
        clone.parents(revision.commit),
        clone.count(revision.commit),
        clone.tree(revision).read("README.md"),
    )


def replaced(story: Story, at: Path) -> None:
    """In a repository, the newest commit and a file of it are said to be other ones, and a note says so, too."""
    run = functools.partial(story.remote.git, "-c", "user.name=Eve", "-c", "user.email=eve@example.org", cwd=at)
    old = run("rev-parse", "main~1")
    evil = run("commit-tree", "-m", "evil", "-p", old, f"{old}^{{tree}}")
    run("update-ref", f"refs/replace/{run('rev-parse', 'main')}", evil)
    other = run("hash-object", "-w", "--stdin", stdin="other text")
    run("update-ref", f"refs/replace/{run('rev-parse', 'main:README.md')}", other)
    run("notes", "add", "-m", "it is fine", "main~1")
    assert run("show", "main:README.md") == "other text", "Git itself believes it"


@pytest.fixture
def long(head: Story) -> Story:
    """Three more commits; the first is deployed."""
    for text in ("one", "two", "three"):
        head.commit(text, "ada")
    return head


# --- the remote -------------------------------------------------------------------------------------------------------


def by_path(story: Story) -> Access:
    return Access(str(story.remote.bare))


def test_what_a_remote_says_in_place_of_objects_changes_nothing_that_is_deployed(long: Story) -> None:
    replaced(long, long.remote.bare)
    revision = long.source.poll()
    assert revision.commit == long.remote.git("rev-parse", "main") and revision.signers == ("ada",)
    assert revision.sequence == 4 and long.source.tree(revision).read("README.md") == b"three"
    names = [ref for ref in DeployingClone(by_path(long), long.folder / "state/source").repository.references]
    assert not [name for name in names if "replace" in name or "notes" in name]


def test_grafts_of_a_remote_change_nothing_that_is_deployed(long: Story) -> None:
    """They are a file beside the objects: whoever may write there takes the middle out of history."""
    first, last = long.remote.git("rev-list", "main").split()[-1], long.remote.git("rev-parse", "main")
    (long.remote.bare / "info").mkdir(exist_ok=True)
    (long.remote.bare / "info/grafts").write_text(f"{last} {first}\n")
    assert long.remote.git("rev-list", "--count", "main", cwd=long.remote.bare) == "2", "Git itself believes it"
    assert (long.source.poll().commit, long.source.poll().sequence) == (last, 4)


def test_refs_and_grafts_in_the_controller_s_own_clone_change_nothing(long: Story) -> None:
    long.deploy()
    clone = long.folder / "state/source/clone.git"
    last = long.commit("four", "ada")
    long.source.poll()
    long.remote.git("update-ref", "refs/heads/main", last, cwd=clone)
    replaced(long, clone)
    (clone / "info").mkdir(exist_ok=True)
    (clone / "info/grafts").write_text(f"{last}\n")
    revision = long.started().poll()
    assert (revision.commit, revision.sequence, revision.signers) == (last, 5, ("ada",))
    assert long.started().tree(revision).read("README.md") == b"four"


@pytest.mark.parametrize("way", ["ssh", "https"])
def test_of_a_server_nothing_but_the_branch_is_fetched(long: Story, way: str) -> None:
    """No bundle from a third place (gitprotocol-v2(5), bundle-uri), no notes, no refs in place of others."""
    replaced(long, long.remote.bare)
    with files(long.folder) as (elsewhere, asked), Server(long, way) as access:
        offer = {
            "uploadpack.advertiseBundleURIs": "true",
            "bundle.version": "1",
            "bundle.mode": "all",
            "bundle.all.uri": f"{elsewhere}all.bundle",
        }
        for name, value in offer.items():
            long.remote.git("config", name, value, cwd=long.remote.bare)
        clone = DeployingClone(access, long.folder / "other")
        commit = clone.fetch_branch("main", clone.heads())
        assert clone.count(commit) == 4 and clone.files(commit).read("README.md") == b"three"
        assert list(clone.repository.references) == ["refs/remotes/origin/main"] and asked == []


class Server:
    """The remote behind one of Git's own servers."""

    def __init__(self, story: Story, way: str) -> None:
        self._story, self._way = story, way
        folder = story.folder / way
        self._server = Sshd(folder) if way == "ssh" else GitHttps(folder, story.folder)

    def __enter__(self) -> Access:
        server = self._server.__enter__()
        if isinstance(server, Sshd):
            url = f"ssh://root@127.0.0.1:{server.port}{self._story.remote.bare}"
            return Access(url, server.user_key, server.known_hosts)
        (self._story.folder / "token").write_text(TOKEN)
        pygit2.settings.set_ssl_cert_locations(str(server.certificate), None)
        return Access(server.url("remote.git"), token_file=self._story.folder / "token")

    def __exit__(self, *_: object) -> None:
        self._server.__exit__(None, None, None)


def test_a_pull_request_is_planned_as_its_commits_say(reviews: tuple[Reviews, Store, Remote]) -> None:
    """Whoever may push refs says that its head is what main is: then there would be nothing to look at."""
    speaker, _, remote = reviews
    head = push_pull(remote, 7, {"pkg/hello/file": "new"})
    remote.git("update-ref", f"refs/replace/{head}", "main", cwd=remote.bare)
    (remote.bare / "info").mkdir(exist_ok=True)
    (remote.bare / "info/grafts").write_text(f"{head}\n")
    assert remote.git("rev-list", "--count", head, cwd=remote.bare) == "1", "Git itself believes it"
    summary = speaker.plan(Pull(7, head, "main", True, "refs/pull/7/head"), False)
    assert [step.subject for step in summary.builds] == ["pkg/hello"]


# --- a user's own clone -----------------------------------------------------------------------------------------------


@pytest.fixture
def checkout(long: Story) -> Path:
    """A clone with all that the remote has, as `git clone --mirror` would have it."""
    replaced(long, long.remote.bare)
    place = long.folder / "checkout"
    long.remote.git("clone", "-q", str(long.remote.bare), str(place))
    long.remote.git("fetch", "-q", "origin", "refs/replace/*:refs/replace/*", "refs/notes/*:refs/notes/*", cwd=place)
    return place


def test_a_checkout_with_refs_in_place_of_others_says_what_the_commits_say(long: Story, checkout: Path) -> None:
    assert git(checkout, "log", "-1", "--format=%s") == "evil"
    revision, parents, count, text = seen(LocalClone(checkout), "main")
    assert (revision.subject, count, text) == ("say three", 4, b"three")
    assert parents == [git(checkout, "--no-replace-objects", "rev-parse", "main~1")]


def test_a_checkout_that_gives_commits_other_parents_is_refused_by_name(long: Story, checkout: Path) -> None:
    """libgit2 believes such a file, and `plan` would begin at another commit."""
    commits = git(checkout, "--no-replace-objects", "rev-list", "main").split()
    for text in (f"{commits[0]} {commits[-1]}\n", "nonsense\n"):
        (checkout / ".git/info/grafts").write_text(text)
        with pytest.raises(SourceError, match="info/grafts gives commits other parents than they have"):
            LocalClone(checkout)
        done = toweros("plan", "-C", checkout, "--head", "main")
        assert done.exit_code == 1 and isinstance(done.exception, SourceError)
    (checkout / ".git/info/grafts").write_text("")
    assert LocalClone(checkout).count(commits[0]) == 4


@pytest.mark.parametrize("name", ["origin/main", "main", "origin/main~1"])
def test_a_tag_with_a_branch_s_name_decides_nothing(long: Story, checkout: Path, name: str) -> None:
    """Everybody's `git clone` fetches tags, and Git prefers them: the commit before the last would hide the others."""
    last = git(checkout, "--no-replace-objects", "rev-parse", "main")
    git(checkout, "switch", "-q", "-c", "topic")
    for text in ("first", "second"):
        (checkout / "README.md").write_text(text)
        git(checkout, "-c", "user.name=e", "-c", "user.email=e@f", "commit", "-q", "-a", "-m", text)
    long.remote.git("fetch", "-q", str(checkout), "topic:refs/tags/" + name.partition("~")[0])
    long.remote.git("push", "-q", "--tags", "origin")
    git(checkout, "fetch", "-q", "--tags")
    clone = LocalClone(checkout)
    base = clone.fork_point(clone.revision("topic"), "main")
    assert base and base.commit == last
    with pytest.raises(SourceError, match=r"is refs/tags/.* and refs/.* in this clone"):
        clone.revision(name)
    assert clone.revision("refs/remotes/origin/main").commit == last


def test_a_tag_that_looks_like_a_commit_is_none(checkout: Path) -> None:
    last = git(checkout, "--no-replace-objects", "rev-parse", "main")
    git(checkout, "update-ref", f"refs/tags/{last}", f"{last}~2")
    assert LocalClone(checkout).revision(last).commit == last


def test_a_ref_that_looks_like_a_commit_s_beginning_decides_nothing(checkout: Path) -> None:
    last = git(checkout, "--no-replace-objects", "rev-parse", "main")
    for kind in ("tags", "remotes/origin"):
        git(checkout, "update-ref", f"refs/{kind}/{last[:7]}", f"{last}~2")
    assert LocalClone(checkout).revision(last[:8]).commit == last
    with pytest.raises(
        SourceError, match=f"`{last[:7]}` is refs/tags/{last[:7]} and the commit {last[:7]} in this clone"
    ):
        LocalClone(checkout).revision(last[:7])


@pytest.mark.parametrize("depth", [1, 2])
def test_a_shallow_checkout_says_so_and_plans_no_part_of_a_change(long: Story, depth: int) -> None:
    """What a forge's job checks out may be the last commit alone: it would pass for the whole change."""
    long.remote.git("switch", "-q", "-c", "topic")
    for text in ("first", "second", "third"):
        long.commit(text, "ada")
    place = long.folder / "job"
    url = f"file://{long.remote.bare}"
    long.remote.git("clone", "-q", "--depth", str(depth), "-b", "topic", url, str(place))
    with pytest.raises(SourceError, match="this clone is shallow: where topic left main is not in it") as refusal:
        of_clone(Settings(), None, place, None, "topic")
    assert "git fetch --unshallow" in refusal.value.hint
    long.remote.git("fetch", "-q", "--unshallow", "origin", "+refs/heads/*:refs/remotes/origin/*", cwd=place)
    question = of_clone(Settings(), None, place, None, "topic")
    assert question.base and question.base[0].commit == long.remote.git("rev-parse", "main")


# --- a repository among the files -------------------------------------------------------------------------------------


def embedded(folder: Path, program: Path) -> None:
    """What `git` takes for a repository wherever it stands: files like others, which a commit can hold."""
    subprocess.run(["git", "init", "-q", "--bare", "--template=", folder], check=True)
    (folder / "theirs").write_text("theirs\n")
    here = (f"--git-dir={folder}", f"--work-tree={folder}", "-c", "user.name=Eve", "-c", "user.email=eve@example.org")
    git(folder, *here, "add", "theirs")
    commit = git(folder, *here, "commit-tree", "-m", "theirs", git(folder, *here, "write-tree"))
    git(folder, "update-ref", "HEAD", commit)
    program.write_text(f"#!/bin/sh\necho ran >> {program.parent}/ran\n")
    program.chmod(0o755)
    (folder / "config").write_text(
        f"[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n\tfsmonitor = {program}\n"
    )


def test_a_repository_among_the_files_is_none(long: Story, tmp_path: Path) -> None:
    inside = long.remote.work / "boxes"
    embedded(inside, tmp_path / "program")
    long.commit("role: vm\n", "ada", "boxes/a.yaml")
    assert pygit2.discover_repository(str(inside)) == f"{inside}/", "libgit2 would take it"
    head = long.remote.git("rev-parse", "main")
    for folder in (inside, inside / "refs/heads"):
        assert LocalClone(folder).revision("HEAD").commit == head
    (long.remote.work / ".gitignore").write_text("*.key\n")
    (inside / "a.key").write_text("secret")
    assert "a.yaml" in FolderTree(inside).entries() and "a.key" not in FolderTree(inside).entries()


def test_a_bare_repository_that_nobody_committed_is_one(long: Story) -> None:
    """As a state folder inside of a checkout has it."""
    place = long.remote.work / "state/clone.git"
    long.remote.git("clone", "-q", "--bare", str(long.remote.bare), str(place))
    assert LocalClone(place).repository.path == f"{place}/"


@pytest.mark.parametrize("verb", ["show-tag", "rollback", "upgrade"])
def test_no_program_of_a_repository_among_the_files_is_run(long: Story, tmp_path: Path, verb: str) -> None:
    """`git status` runs what `core.fsmonitor` names, in whichever repository it finds itself."""
    inside = long.remote.work / "pkg/x"
    inside.mkdir(parents=True)
    (inside / "build.yml").write_text("image: x\n")
    (inside / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (inside / "fleet.yaml").write_text("{}\n")
    embedded(inside, tmp_path / "program")
    long.commit("x", "ada", "pkg/x/file")
    subprocess.run(["git", "status"], cwd=inside, capture_output=True)
    assert (tmp_path / "ran").exists(), "Git itself runs it"
    (tmp_path / "ran").unlink()
    words: dict[str, Callable[[], object]] = {
        "show-tag": lambda: toweros("pkg", "show-tag", inside),
        "rollback": lambda: toweros("rollback", "HEAD~1", "-C", inside),
        "upgrade": lambda: toweros("upgrade", "-C", inside),
    }
    words[verb]()
    assert not (tmp_path / "ran").exists()
