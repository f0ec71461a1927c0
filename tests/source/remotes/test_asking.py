"""A poll of an https server is one request, however many refs there are, and whoever is refused is not sent again."""

from collections.abc import Iterator
from pathlib import Path

import pygit2
import pytest

from gitops.errors import SourceError
from gitops.source import Access
from gitops.source.clone.remote import Heads, list_heads
from gitops.source.remotes import asking
from tests.kit.remote import Remote
from tests.simulators.https import TOKEN, GitHttps


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    """Branches, tags of both kinds, and 3,000 pull requests."""
    made = Remote(tmp_path)
    made.commit("one")
    made.git("tag", "light")
    made.git("tag", "-a", "-m", "x", "v1.0.0")
    made.git("push", "-q", "origin", "main:side", "light", "v1.0.0")
    head = made.git("rev-parse", "HEAD")
    made.git("pack-refs", "--all", cwd=made.bare)
    packed = made.bare / "packed-refs"
    pulls = "".join(f"{head} refs/pull/{number}/head\n" for number in range(3000))
    packed.write_text(packed.read_text().replace(" sorted", "") + pulls)
    return made


@pytest.fixture(params=[True, False], ids=["version 2", "version 0"])
def server(
    request: pytest.FixtureRequest, tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GitHttps]:
    with GitHttps(tmp_path / "https", tmp_path, version_2=request.param) as made:
        pygit2.settings.set_ssl_cert_locations(str(made.certificate), None)
        monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate))
        (tmp_path / "token").write_text(TOKEN)
        yield made


def heads(server: GitHttps, name: str = "remote.git") -> Heads:
    folder = server.folder.parent
    repository = pygit2.init_repository(str(folder / "clone.git"), bare=True)
    return list_heads(repository, Access(server.url(name), token_file=folder / "token"))


def test_a_poll_is_one_request_with_the_token_in_it(server: GitHttps, remote: Remote) -> None:
    first = heads(server)
    server.asked()
    assert heads(server) == first
    (line,) = server.asked()
    assert line.startswith("200 ")
    head, tag = remote.git("rev-parse", "HEAD"), remote.git("rev-parse", "v1.0.0")
    assert first == Heads({"main": head, "side": head}, "main", {"light": head, "v1.0.0": tag}, {"v1.0.0": head})


def test_libgit2_and_a_folder_say_the_same(server: GitHttps, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, folder = heads(server), list_heads(pygit2.Repository(str(remote.bare)), Access(str(remote.bare)))
    monkeypatch.setattr(asking, "heads", lambda *_: None)
    assert ours == heads(server) == folder


def test_a_token_that_is_refused_is_sent_once(server: GitHttps, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("wrong-one")
    with pytest.raises(SourceError, match="access is refused") as caught:
        heads(server)
    assert [line.split(" ")[:2] for line in server.asked()] == [["401", "POST"]]
    assert "wrong-one" not in f"{caught.value} {caught.value.hint}"


def test_a_repository_that_is_not_there_is_no_reason_to_ask_in_an_older_way(server: GitHttps, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nothing there"):
        heads(server, "later.git")
    (tmp_path / "remote.git").rename(tmp_path / "later.git")
    server.asked()
    assert heads(server, "later.git").default == "main"
    assert "POST" in server.asked()[0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"0000",
        b"0008ERR \n0000",
        b"zzzz",
        b"ffff0000",
        b"0001",
        b"003d" + b"1" * 40 + b" refs/heads/main\n",
        b"0016" + b"1" * 10 + b" main\n\n0000",
        b"\xff" * 100,
    ],
)
@pytest.mark.parametrize("read", [asking._of_v2, asking._of_v0])
def test_what_is_no_list_of_refs_is_none(data: bytes, read: object) -> None:
    try:
        assert read(data) == ([], "")  # type: ignore[operator]
        assert data == b"0000" and read is asking._of_v2
    except ValueError:
        pass
