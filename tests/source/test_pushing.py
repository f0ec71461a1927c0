"""Commits of our own reach a real remote, signed, and overwrite nobody's."""

import shutil
from pathlib import Path

import pytest

from gitops.errors import SignError, SourceError
from gitops.sign.commits import CommitKey
from gitops.source import Access
from gitops.source.clone.pushing import Draft, MovedError, PushClone
from tests.kit.remote import Remote

LOCK = "pkg/a/packages.lock"
OURS = "refs/heads/toweros/security"


class Desk:
    def __init__(self, folder: Path) -> None:
        self.folder, self.remote = folder, Remote(folder)
        (folder / "keys").mkdir()
        self.key = CommitKey.open(folder / "keys")
        self.base = self.remote.commit("old\n", path=LOCK)
        self.clone = self.open()

    def open(self) -> PushClone:
        return PushClone(Access(str(self.remote.bare)), self.folder / "security", self.key.sign)

    def draft(self, text: str, parent: str = "") -> str:
        head = parent or self.clone.fetch("main")
        return self.clone.commit(Draft(head, {LOCK: text.encode()}, f"locks: {text}\n", 1_795_000_000))

    def at(self, ref: str) -> str:
        return self.remote.git("for-each-ref", "--format=%(objectname)", ref, cwd=self.remote.bare)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_commit_is_good_to_git_and_signed_by_the_controller_s_key(desk: Desk) -> None:
    made = desk.draft("new")
    desk.clone.push("refs/heads/main", made, desk.base)
    (desk.folder / "allowed").write_text(f"{desk.key.allowed}\n")
    desk.remote.git("pull", "-q", "origin", "main")
    desk.remote.git("config", "gpg.ssh.allowedSignersFile", str(desk.folder / "allowed"))
    assert desk.remote.git("log", "-1", "--format=%G? %GS %an %s") == "G toweros-security TowerOS locks: new"
    assert desk.remote.git("diff", "--name-only", "HEAD^", "HEAD") == LOCK
    desk.remote.git("fsck", "--strict", cwd=desk.remote.bare)


def test_a_tag_is_good_to_git(desk: Desk) -> None:
    tag = desk.clone.tag("v1.0.1", desk.draft("new"), "v1.0.1\n", 1_795_000_000)
    desk.clone.push("refs/tags/v1.0.1", tag, "")
    (desk.folder / "allowed").write_text(f"{desk.key.allowed}\n")
    desk.remote.git("config", "gpg.ssh.allowedSignersFile", str(desk.folder / "allowed"))
    desk.remote.git("fetch", "-q", "origin", "tag", "v1.0.1")
    desk.remote.git("verify-tag", "v1.0.1")


def test_somebody_else_s_commit_on_the_branch_stays(desk: Desk) -> None:
    made = desk.draft("new")
    theirs = desk.remote.commit("words")
    with pytest.raises(MovedError, match="somebody else pushed"):
        desk.clone.push("refs/heads/main", made, desk.base)
    assert desk.at("refs/heads/main") == theirs


def test_our_own_branch_is_replaced_and_somebody_else_s_commit_on_it_is_not(desk: Desk) -> None:
    first, second = desk.draft("one"), desk.draft("two")
    desk.clone.push(OURS, first, "")
    with pytest.raises(MovedError):
        desk.clone.push(OURS, second, "")
    desk.clone.push(OURS, second, first)
    assert desk.at(OURS) == second
    theirs = desk.remote.commit("mine", push=False)
    desk.remote.git("push", "-q", "-f", "origin", f"{theirs}:{OURS}")
    for move in (lambda: desk.clone.push(OURS, first, second), lambda: desk.clone.remove(OURS, second)):
        with pytest.raises(MovedError):
            move()
    assert desk.at(OURS) == theirs
    desk.clone.remove(OURS, theirs)
    assert desk.at(OURS) == ""


def test_a_remote_that_refuses_or_is_away_says_so(desk: Desk) -> None:
    made = desk.draft("new")
    desk.remote.git("config", "receive.denyNonFastForwards", "true", cwd=desk.remote.bare)
    desk.remote.bare.rename(desk.folder / "away")
    with pytest.raises(SourceError) as caught:
        desk.clone.push("refs/heads/main", made, desk.base)
    assert caught.value.transient


def test_a_clone_that_a_killed_push_left_is_used_again(desk: Desk) -> None:
    lock = desk.folder / "security/clone.git/refs/toweros/push.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    desk.clone = desk.open()
    desk.clone.push(OURS, desk.draft("one"), "")


def test_a_damaged_clone_is_made_again(desk: Desk) -> None:
    (desk.folder / "security/clone.git/HEAD").write_text("?")
    desk.clone = desk.open()
    assert desk.clone.fetch("main") == desk.base


def test_the_key_is_made_once_and_refused_when_others_may_read_it(desk: Desk) -> None:
    assert CommitKey.open(desk.folder / "keys").allowed == desk.key.allowed
    file = desk.folder / "keys/security"
    assert file.stat().st_mode & 0o777 == 0o600 and "PRIVATE" not in desk.key.allowed
    file.chmod(0o644)
    with pytest.raises(SourceError.__mro__[1], match="open to others"):
        CommitKey.open(desk.folder / "keys")


def test_a_key_that_was_restored_without_its_public_half_signs_as_before(desk: Desk) -> None:
    file, data = desk.folder / "keys/security", (desk.folder / "keys/security").read_bytes()
    file.unlink()
    other = CommitKey.open(desk.folder / "keys")
    assert other.new and other.allowed != desk.key.allowed and desk.key.new
    file.write_bytes(data)
    again = CommitKey.open(desk.folder / "keys")
    assert again.allowed == desk.key.allowed and not again.new
    assert desk.key.allowed.split()[-1] in f"toweros-security {(file.with_name('security.pub')).read_text().strip()}"
    file.write_bytes(b"nothing")
    with pytest.raises(SignError, match="holds no SSH key"):
        CommitKey.open(desk.folder / "keys")


def test_a_download_that_fails_takes_nothing_away(desk: Desk) -> None:
    desk.clone.fetch("main")
    new = desk.remote.commit("newer\n", path=LOCK)
    blob = desk.remote.git("rev-parse", f"{new}:{LOCK}", cwd=desk.remote.bare)
    file = desk.remote.bare / "objects" / blob[:2] / blob[2:]
    hidden = file.rename(desk.folder / "hidden")
    with pytest.raises(SourceError):
        desk.clone.fetch("main")
    assert desk.clone.has(desk.base) and desk.open().has(desk.base), "what is there stays"
    hidden.rename(file)
    assert desk.clone.fetch("main") == new and desk.clone.has(new)


def test_a_clone_that_cannot_take_more_is_replaced_at_once(desk: Desk) -> None:
    desk.clone.fetch("main")
    new = desk.remote.commit("newer\n", path=LOCK)
    pack = desk.folder / "security/clone.git/objects"
    shutil.rmtree(pack)
    pack.touch()
    assert desk.clone.fetch("main") == new and desk.clone.has(new)
