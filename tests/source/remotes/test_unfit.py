"""Remotes that cannot be followed are refused by name, with what to do there; and the clone of before stays."""

import subprocess
from pathlib import Path

import pygit2
import pytest

from gitops.errors import SourceError
from gitops.source import Access
from tests.kit.remote import Remote
from tests.kit.trust import following
from tests.simulators.https import TOKEN, GitHttps
from tests.simulators.sshd import Sshd

REFUSED = {
    "sha256": ("UnfitRemote", "SHA256 objects", "--object-format=sha1"),
    "shallow": ("ShallowHistory", "shallow clone", "--unshallow"),
    "partial": ("UnfitRemote", "partial clone", "--mirror"),
    "lost": ("UnfitRemote", "/nowhere/objects", "git repack -a -d"),
    "reftable": ("UnfitRemote", "reftable", "--ref-format=files"),
    "no repository": ("UnfitRemote", "no Git repository", "repository"),
    "empty": ("NoBranch", "it is empty", "push it"),
}


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture
def remotes(tmp_path: Path) -> Path:
    """One of each kind, by its name; `sound` is one that is followed."""
    made = Remote(tmp_path)
    (made.work / "fleet.yaml").write_text("source: {branch: main}\n")
    made.commit("one")
    made.commit("two")
    made.bare.rename(tmp_path / "sound")
    git(tmp_path / "sound", "config", "uploadpack.allowFilter", "true")
    url = f"file://{tmp_path}/sound"
    git(tmp_path, "clone", "-q", "--bare", "--depth", "1", url, "shallow")
    git(tmp_path, "clone", "-q", "--bare", "--filter=blob:none", url, "partial")
    git(tmp_path, "clone", "-q", "--bare", "--shared", str(tmp_path / "sound"), "shared")
    git(tmp_path, "clone", "-q", "--bare", "--shared", str(tmp_path / "sound"), "lost")
    (tmp_path / "lost/objects/info/alternates").write_text("# elsewhere\n/nowhere/objects\n")
    git(tmp_path, "init", "-q", "-b", "main", "--object-format=sha256", "other")
    git(tmp_path / "other", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x")
    git(tmp_path, "clone", "-q", "--bare", "other", "sha256")
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "empty")
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "reftable")
    git(tmp_path / "reftable", "config", "core.repositoryformatversion", "1")
    git(tmp_path / "reftable", "config", "extensions.refstorage", "reftable")
    (tmp_path / "no repository").mkdir()
    return tmp_path


def refusal(access: Access, state: Path) -> SourceError:
    with pytest.raises(SourceError) as caught:
        following(access, state).poll()
    assert "the last good state stays" in caught.value.hint
    return caught.value


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_folder_says_what_it_is(remotes: Path, kind: str, scheme: str) -> None:
    reason, words, fix = REFUSED[kind]
    url = f"{scheme}{remotes}/{kind}".replace(" ", "%20" if scheme else " ")
    if " " in url:
        (remotes / kind).rename(remotes / "none")
        url = f"{remotes}/none"
    said = refusal(Access(url), remotes / "state")
    assert (said.reason, fix in said.hint) == (reason, True) and words in said.message


def test_borrowed_objects_that_are_there_are_followed(remotes: Path) -> None:
    assert following(Access(f"{remotes}/shared"), remotes / "state").poll().sequence == 2


@pytest.mark.parametrize("kind", ["sha256", "shallow", "empty"])
def test_a_server_says_it_in_its_way(remotes: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reason, words, fix = REFUSED[kind]
    (remotes / "token").write_text(TOKEN)
    with GitHttps(remotes / "https", remotes) as server:
        pygit2.settings.set_ssl_cert_locations(str(server.certificate), None)
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        https = refusal(Access(server.url(kind), token_file=remotes / "token"), remotes / "state")
    with Sshd(remotes / "sshd") as sshd:
        access = Access(f"ssh://root@127.0.0.1:{sshd.port}{remotes}/{kind}", sshd.user_key, sshd.known_hosts)
        ssh = refusal(access, remotes / "other")
    for said in (https, ssh):
        assert (said.reason, fix in said.hint) == (reason, True) and words in said.message


def test_a_server_that_lacks_objects_is_no_damage_of_ours(remotes: Path) -> None:
    """A partial clone serves its refs, and not all that they lead to."""
    with Sshd(remotes / "sshd") as sshd:
        access = Access(f"ssh://root@127.0.0.1:{sshd.port}{remotes}/partial", sshd.user_key, sshd.known_hosts)
        said = refusal(access, remotes / "state")
    assert said.transient and "broke off" in said.message and "git fsck" in said.hint
    assert "\n" not in said.message
