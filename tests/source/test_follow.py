"""A Git remote is followed, and a lying one is not: real remotes by path, ssh and https, real signatures."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pygit2
import pytest

from gitops.errors import FleetError, SourceError
from gitops.model import Policy, Revision, Sign
from gitops.source import Access, GitSource
from gitops.source.clone.deploying import DeployingClone
from gitops.source.remotes.redacting import redact
from gitops.source.trust.judge import Judge
from gitops.source.trust.rules import accept, judging
from gitops.store import Store
from gitops.store.notes.documents import LastDeployed
from tests.kit.remote import Remote
from tests.kit.trust import following
from tests.simulators.https import TOKEN, GitHttps
from tests.simulators.sshd import Sshd


def again(source_of: Remote, tmp_path: Path, **options: object) -> GitSource:
    """The controller, started again on the same state."""
    return following(Access(str(source_of.bare)), tmp_path / "state", **options)


def test_a_commit_becomes_a_revision_with_its_files(remote: Remote, source: GitSource) -> None:
    head = remote.commit("two")
    revision = source.poll()
    assert (revision.ref, revision.commit, revision.sequence) == ("main", head, 2)
    assert str(revision) == f"main@sha1:{head}"
    tree = source.tree(revision)
    assert tree.read("README.md") == b"two"
    assert set(tree.entries()) == {"README.md", "fleet.yaml"}
    with pytest.raises(KeyError):
        tree.read("nothing")


def test_the_sequence_counts_ancestors_as_git_does_merges_included(remote: Remote, source: GitSource) -> None:
    source.mark_deployed(source.poll())
    remote.git("checkout", "-q", "-b", "side")
    remote.commit("side", path="side", push=False)
    remote.commit("side 2", path="side", push=False)
    remote.git("checkout", "-q", "main")
    remote.commit("main", push=False)
    remote.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    remote.commit("after")
    assert source.poll().sequence == int(remote.git("rev-list", "--count", "HEAD")) == 6


def test_a_poll_without_news_fetches_and_judges_nothing(
    remote: Remote, source: GitSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = source.poll()
    source.mark_deployed(first)
    first = source.poll()
    monkeypatch.setattr(Judge, "accept", None)
    monkeypatch.setattr(DeployingClone, "fetch", None)
    monkeypatch.setattr(subprocess, "Popen", None)
    assert source.poll() is first


def test_only_the_branch_of_the_policy_is_fetched(remote: Remote, source: GitSource, tmp_path: Path) -> None:
    remote.git("tag", "v1")
    remote.git("checkout", "-q", "-b", "other")
    remote.commit("elsewhere")
    remote.git("push", "-q", "--tags")
    source.poll()
    refs = remote.git("for-each-ref", "--format=%(refname)", cwd=tmp_path / "state" / "source" / "clone.git")
    assert refs == "refs/remotes/origin/main"


def test_head_leads_to_the_branch_that_fleet_yaml_names(remote: Remote, source: GitSource) -> None:
    remote.git("checkout", "-q", "-b", "production")
    remote.git("push", "-q", "origin", "production")
    remote.git("checkout", "-q", "main")
    remote.commit("source: {branch: production}\n", path="fleet.yaml")
    assert source.poll().ref == "production"


def test_rewritten_history_is_refused_and_the_last_good_commit_stays(
    remote: Remote, source: GitSource, tmp_path: Path
) -> None:
    remote.commit("two")
    good = source.poll()
    source.mark_deployed(good)
    remote.git("reset", "-q", "--hard", "HEAD~1")
    remote.commit("other two")
    remote.commit("other three")
    with pytest.raises(SourceError, match="does not descend") as caught:
        source.poll()
    assert "epoch" in caught.value.hint and not caught.value.transient
    restarted = again(remote, tmp_path)
    with pytest.raises(SourceError, match="does not descend"):
        restarted.poll()
    assert restarted.deployed() == good
    assert restarted.tree(good).read("README.md") == b"two"


def test_a_branch_moved_back_is_refused(remote: Remote, source: GitSource) -> None:
    remote.commit("two")
    source.mark_deployed(source.poll())
    remote.git("reset", "-q", "--hard", "HEAD~1")
    remote.git("push", "-q", "-f", "origin", "HEAD")
    with pytest.raises(SourceError, match="does not descend"):
        source.poll()


def test_raising_the_epoch_accepts_a_new_history(remote: Remote, source: GitSource, tmp_path: Path) -> None:
    remote.commit("two")
    source.mark_deployed(source.poll())
    remote.git("checkout", "-q", "--orphan", "fresh")
    remote.git("branch", "-D", "main")
    remote.git("branch", "-m", "main")
    remote.commit("a new beginning")
    with pytest.raises(SourceError, match="does not descend"):
        source.poll()
    raised = again(remote, tmp_path, epoch=5)
    revision = raised.poll()
    assert revision.sequence == 6
    raised.mark_deployed(revision)
    remote.commit("and on")
    assert raised.poll().sequence == 7


def test_an_emptied_remote_and_an_absent_one_change_nothing(remote: Remote, source: GitSource, tmp_path: Path) -> None:
    good = source.poll()
    source.mark_deployed(good)
    away = tmp_path / "away"
    remote.bare.rename(away)
    with pytest.raises(SourceError, match="unreachable") as caught:
        source.poll()
    assert caught.value.transient
    remote.git("init", "-q", "--bare", "-b", "main", str(remote.bare), cwd=tmp_path)
    with pytest.raises(SourceError, match="no branch 'main'"):
        source.poll()
    assert source.tree(good).read("README.md") == b"one"
    shutil.rmtree(remote.bare)
    away.rename(remote.bare)
    assert source.poll().commit == good.commit


def in_another_process(remote: Remote, tmp_path: Path) -> None:
    """Deploy in a process that ends: libgit2 keeps packs mapped, and we are about to overwrite them."""
    code = (
        "from gitops.source import *; from tests.kit.trust import following; from pathlib import Path; import sys;"
        "source = following(Access(sys.argv[1]), Path(sys.argv[2])); source.mark_deployed(source.poll())"
    )
    subprocess.run([sys.executable, "-c", code, remote.bare, tmp_path / "state"], check=True)


@pytest.mark.parametrize(
    "harm", ["garble", "flip bytes", "remove objects", "truncate refs", "remove clone", "not a repository"]
)
def test_a_damaged_clone_is_made_again(remote: Remote, tmp_path: Path, harm: str) -> None:
    in_another_process(remote, tmp_path)
    clone = tmp_path / "state" / "source" / "clone.git"
    packs = [path for path in (clone / "objects").rglob("*") if path.is_file()]
    if harm == "garble":
        for path in packs:
            path.chmod(0o644)
            path.write_bytes(bytes(byte ^ 0x55 for byte in path.read_bytes()))
    elif harm == "flip bytes":
        for path in packs:
            path.chmod(0o644)
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
    elif harm == "remove objects":
        shutil.rmtree(clone / "objects" / "pack")
    elif harm == "truncate refs":
        for path in (clone / "refs").rglob("*"):
            path.is_file() and path.write_bytes(b"")
    elif harm == "remove clone":
        shutil.rmtree(clone)
    else:
        shutil.rmtree(clone)
        clone.mkdir()
        (clone / "HEAD").write_text("nonsense")
    remote.commit("two")
    restarted = again(remote, tmp_path)
    revision = restarted.poll()
    assert revision.sequence == 2
    assert restarted.tree(revision).read("README.md") == b"two"
    assert (deployed := restarted.deployed()) and deployed.sequence == 1


def test_damage_found_while_reading_is_repaired_by_the_next_poll(remote: Remote, tmp_path: Path) -> None:
    in_another_process(remote, tmp_path)
    shutil.rmtree(tmp_path / "state" / "source" / "clone.git" / "objects" / "pack")
    restarted = again(remote, tmp_path)
    revision = restarted.deployed()
    assert revision
    with pytest.raises(SourceError, match="damaged"):
        restarted.tree(revision)
    assert restarted.tree(restarted.poll()).read("README.md") == b"one"


def test_a_signature_mode_of_a_newer_controller_lets_nothing_through(remote: Remote, tmp_path: Path) -> None:
    source = again(remote, tmp_path)
    source.mark_deployed(source.poll())
    notes = Store.open(tmp_path / "state").notes
    document = notes.get(LastDeployed)
    assert document and document.policy["sign"] == "none"
    notes.put(replace(document, policy=document.policy | {"sign": "quorum"}))
    with pytest.raises(SourceError, match="damaged"):
        again(remote, tmp_path).poll()


def test_a_stopped_fetch_harms_nothing(
    remote: Remote, source: GitSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = source.poll()
    source.mark_deployed(good)
    head = remote.commit("two")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gitops.source.remotes.packing._take", stop)
    with pytest.raises(KeyboardInterrupt):
        source.poll()
    monkeypatch.undo()
    restarted = again(remote, tmp_path)
    assert restarted.deployed() == good
    assert restarted.poll().commit == head


def test_what_a_killed_controller_leaves_is_swept(remote: Remote, source: GitSource, tmp_path: Path) -> None:
    source.mark_deployed(source.poll())
    clone = tmp_path / "state" / "source" / "clone.git"
    left = [
        clone / "refs/toweros/deployed.lock",
        clone / "refs/remotes/origin/main.lock",
        clone / "objects/pack/pack_x1",
        clone / "objects/pack/tmp_idx_x1",
    ]
    for path in left:
        path.write_text("")
    left += [tmp_path / "state" / "source" / "clone.new", clone / "incoming-x1"]
    for folder in left[-2:]:
        folder.mkdir()
    head = remote.commit("two")
    restarted = again(remote, tmp_path)
    revision = restarted.poll()
    restarted.mark_deployed(revision)
    assert revision.commit == head == again(remote, tmp_path).deployed().commit  # type: ignore[union-attr]
    assert not any(path.exists() for path in left)


def test_a_lost_connection_is_not_taken_for_damage(
    remote: Remote, source: GitSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.mark_deployed(source.poll())
    remote.commit("two")

    def drop(*_: object) -> None:
        remote.bare.rename(tmp_path / "away")
        raise pygit2.GitError("connection reset")

    monkeypatch.setattr("gitops.source.clone.deploying.download", drop)
    monkeypatch.setattr(DeployingClone, "rebuild", None)
    with pytest.raises(SourceError, match="unreachable") as caught:
        source.poll()
    assert caught.value.transient


def test_a_broken_fleet_yaml_is_refused_and_a_fixed_one_taken(remote: Remote, source: GitSource) -> None:
    remote.commit("sauce: {}\n", path="fleet.yaml")
    with pytest.raises(FleetError, match="did you mean `source`"):
        source.poll()
    head = remote.commit("source: {}\n", path="fleet.yaml")
    assert source.poll().commit == head


def test_submodules_and_leaving_links_are_refused(remote: Remote, source: GitSource) -> None:
    (remote.work / "link").symlink_to("../../etc/passwd")
    remote.commit("two")
    with pytest.raises(SourceError, match="link: the link leaves"):
        source.poll()
    remote.git("rm", "-q", "link")
    remote.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    remote.git("commit", "-q", "-m", "submodule")
    remote.git("push", "-q", "origin", "HEAD")
    with pytest.raises(SourceError, match="submodules"):
        source.poll()


def test_a_bomb_of_folders_is_refused(remote: Remote, source: GitSource) -> None:
    """Ten objects that say ten thousand million folders."""
    tree = remote.git("mktree", "--missing", stdin="")
    for _ in range(10):
        tree = remote.git("mktree", stdin="".join(f"040000 tree {tree}\td{n}\n" for n in range(10)))
    commit = remote.git("commit-tree", "-m", "bomb", "-p", "HEAD", tree)
    remote.git("push", "-q", "origin", f"{commit}:refs/heads/main")
    with pytest.raises(SourceError, match="more than"):
        source.poll()


def test_what_a_commit_says_cannot_steer_a_terminal(remote: Remote, source: GitSource) -> None:
    remote.git("commit", "-q", "--allow-empty", "-m", "\x1b[31mred\x1b[0m", "-m", "body")
    remote.git("push", "-q", "origin", "HEAD")
    assert source.poll().subject == "?[31mred?[0m"


@pytest.mark.parametrize("url", ["git://host/x", "http://host/x", "ext::sh -c id", "ftp://host/x", "", "ssh://a b/c"])
def test_other_transports_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        following(Access(url), tmp_path)


def test_no_message_shows_what_a_url_carries(tmp_path: Path) -> None:
    assert redact("https://user:secret@host/x") == "https://host/x"
    source = following(Access("https://user:secret@127.0.0.1:9/x.git"), tmp_path)
    with pytest.raises(SourceError, match="unreachable") as caught:
        source.poll()
    assert "secret" not in str(caught.value) + caught.value.hint


# --- ssh --------------------------------------------------------------------------------------------------------------


def test_ssh_with_a_known_host_works_and_an_unknown_one_is_refused(remote: Remote, tmp_path: Path) -> None:
    with Sshd(tmp_path / "sshd") as sshd:
        url = f"ssh://root@127.0.0.1:{sshd.port}{remote.bare}"
        source = following(Access(url, sshd.user_key, sshd.known_hosts), tmp_path / "state")
        assert source.poll().sequence == 1
        head = remote.commit("two")
        assert source.poll().commit == head

        stranger = tmp_path / "stranger"
        shutil.copy(sshd.other_hosts, stranger)
        with pytest.raises(SourceError, match="host key is unknown or has changed") as caught:
            following(Access(url, sshd.user_key, stranger), tmp_path / "other").poll()
        assert caught.value.reason == "UnknownHost"
        with pytest.raises(SourceError, match="access is refused"):
            following(Access(url, sshd.other_key, sshd.known_hosts), tmp_path / "third").poll()
    with pytest.raises(SourceError, match="unreachable") as caught:
        following(Access(url, sshd.user_key, sshd.known_hosts), tmp_path / "state").poll()
    assert caught.value.transient


# --- https ------------------------------------------------------------------------------------------------------------


def test_https_with_a_token_and_a_certificate_that_verifies(remote: Remote, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    with GitHttps(tmp_path / "https", tmp_path) as server:
        url = server.url("remote.git")
        with pytest.raises(SourceError, match="certificate does not verify") as caught:
            following(Access(url, token_file=token), tmp_path / "first").poll()
        assert caught.value.reason == "BadCertificate"
        pygit2.settings.set_ssl_cert_locations(str(server.certificate), None)
        source = following(Access(url, token_file=token), tmp_path / "state")
        assert source.poll().sequence == 1
        head = remote.commit("two")
        assert source.poll().commit == head
        token.write_text("wrong-one")
        remote.commit("three")
        for access in (Access(url, token_file=token), Access(url)):
            with pytest.raises(SourceError, match="access is refused") as caught:
                following(access, tmp_path / "state").poll()
            said = f"{caught.value} {caught.value.hint}"
            assert "git_token_file" in said and "wrong-one" not in said and not caught.value.transient
        with pytest.raises(SourceError, match="cannot be read"):
            following(Access(url, token_file=tmp_path / "none"), tmp_path / "state").poll()


# --- signatures -------------------------------------------------------------------------------------------------------


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Path]:
    made = {}
    for name in ("ada", "eve"):
        made[name] = tmp_path / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(made[name])], check=True)
    public = (tmp_path / "ada.pub").read_text().split()[:2]
    made["allowed"] = tmp_path / "allowed_signers"
    made["allowed"].write_text(f'ada@example.org namespaces="git" {" ".join(public)}\n')
    return made


def test_the_policy_decides_who_must_sign(remote: Remote, tmp_path: Path, keys: dict[str, Path]) -> None:
    remote.commit("source: {sign: head}\n", f"-S{keys['ada']}", path="fleet.yaml")
    source = again(remote, tmp_path, allowed_signers=keys["allowed"])
    revision = source.poll()
    assert revision.signers == ("ada@example.org",)
    source.mark_deployed(revision)
    assert source.poll().signers == ("ada@example.org",)

    remote.commit("source: {sign: none}\n", path="fleet.yaml")
    with pytest.raises(SourceError, match="is unsigned"):
        source.poll()
    remote.commit("foreign", f"-S{keys['eve']}")
    with pytest.raises(SourceError, match="signed by an unknown key"):
        source.poll()
    assert source.deployed() == revision
    head = remote.commit("own", f"-S{keys['ada']}")
    assert source.poll().commit == head


def test_a_signature_over_other_words_is_bad(remote: Remote, tmp_path: Path, keys: dict[str, Path]) -> None:
    remote.commit("two", f"-S{keys['ada']}")
    body = remote.git("cat-file", "commit", "HEAD").replace("say two", "say six") + "\n"
    (tmp_path / "forged").write_text(body)
    forged = remote.git("hash-object", "-t", "commit", "-w", str(tmp_path / "forged"))
    remote.git("push", "-q", "-f", "origin", f"{forged}:refs/heads/main")
    with pytest.raises(SourceError, match="bad signature"):
        again(remote, tmp_path, allowed_signers=keys["allowed"]).poll()


def test_a_key_that_is_no_longer_valid_is_refused(remote: Remote, tmp_path: Path, keys: dict[str, Path]) -> None:
    remote.commit("two", f"-S{keys['ada']}")
    words = keys["allowed"].read_text().split()
    keys["allowed"].write_text(f'{words[0]} valid-before="20200101" {" ".join(words[2:])}\n')
    source = again(remote, tmp_path, allowed_signers=keys["allowed"])
    with pytest.raises(SourceError, match=r"does not allow now|unknown key"):
        source.poll()
    keys["allowed"].write_text(" ".join(words) + "\n")
    assert source.poll().signers == ("ada@example.org",)


def test_signatures_are_demanded_where_nobody_is_allowed(remote: Remote, tmp_path: Path) -> None:
    remote.commit("source: {sign: head}\n", path="fleet.yaml")
    with pytest.raises(SourceError, match="names nobody"):
        again(remote, tmp_path).poll()


# --- the rules by themselves ------------------------------------------------------------------------------------------

OLD = Revision("main", "a" * 40, 5, 0)


def test_what_may_follow_what() -> None:
    newer, equal = Revision("main", "b" * 40, 6, 0), Revision("main", "c" * 40, 5, 0)
    accept(None, newer, descends=True, raised=False)
    accept(OLD, OLD, descends=True, raised=False)
    accept(OLD, newer, descends=True, raised=False)
    accept(OLD, newer, descends=False, raised=True)
    for new, descends, raised in ((newer, False, False), (equal, True, False), (equal, False, True)):
        with pytest.raises(SourceError):
            accept(OLD, new, descends=descends, raised=raised)


def test_no_unsigned_commit_switches_signatures_off() -> None:
    asks, asks_not = Policy(sign=Sign.head), Policy(sign=Sign.none)
    assert judging(asks, asks_not, first_signers=False).sign is Sign.head
    assert judging(asks_not, asks, first_signers=False).sign is Sign.head
    assert judging(None, asks_not, first_signers=True).sign is Sign.head
    assert judging(None, Policy(branch="", tags="v*"), first_signers=True).sign is Sign.tag
    assert judging(asks_not, asks_not, first_signers=True).sign is Sign.none
