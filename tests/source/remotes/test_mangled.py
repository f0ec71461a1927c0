"""An https remote that is damaged, partial, or answered for by something else says what was refused, and what to do.

What comes is never taken for what was asked for: the same clone follows on as soon as the remote is sound again.
"""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pygit2
import pytest

from gitops.errors import STAYS, SourceError
from gitops.source import Access
from gitops.source.remotes import asking
from tests.kit.remote import Remote
from tests.kit.trust import following
from tests.simulators.mangling import Answer, Mangling

BIG = bytes(range(256)) * 1200


def git(folder: Path, *words: str, data: bytes = b"") -> str:
    return subprocess.run(
        ["git", *words], cwd=folder, check=True, capture_output=True, timeout=60, input=data
    ).stdout.decode()


@dataclass
class Server:
    """`changes`: what becomes of an answer about `refs` or `pack`."""

    folder: Path
    changes: dict[str, Callable[[Answer], tuple[Answer, int]]] = field(default_factory=dict)

    def change(self, what: str, answer: Answer) -> tuple[Answer, int]:
        return self.changes[what](answer) if what in self.changes else (answer, len(answer[2]))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Mangling]]:
    """With a sound remote, one that lost an object, one that has a damaged one, and a partial clone."""
    folder = tmp_path_factory.mktemp("mangled")
    made = Remote(folder)
    (made.work / "fleet.yaml").write_text("source: {branch: main}\n")
    (made.work / "big").write_bytes(BIG)
    made.commit("one")
    git(made.bare, "config", "uploadpack.allowFilter", "true")
    git(folder, "clone", "-q", "--bare", "--filter=blob:none", f"file://{made.bare}", "partial")
    for name in ("lost", "damaged"):
        git(folder, "init", "-q", "--bare", "-b", "main", name)
        git(folder / name, "config", "core.looseCompression", "0")
        git(folder / name, "config", "fetch.unpackLimit", "1000")
        git(folder / name, "fetch", "-q", str(made.bare), "main:main")
        big = git(folder / name, "rev-parse", "main:big").strip()
        file = folder / name / "objects" / big[:2] / big[2:]
        data = file.read_bytes()
        file.unlink()
        if name == "damaged":
            file.write_bytes(data[:1000] + bytes([data[1000] ^ 255]) + data[1001:])
    here = Server(folder)
    with Mangling(folder / "https", folder, here.change) as running:
        yield here, running


def whole(type_: str, body: bytes, status: int = 200) -> Callable[[Answer], tuple[Answer, int]]:
    return lambda answer: ((status, type_ or answer[1], body), len(body))


def cut(answer: Answer) -> tuple[Answer, int]:
    return answer, len(answer[2]) // 2


def short(answer: Answer) -> tuple[Answer, int]:
    half = answer[2][: len(answer[2]) // 2]
    return (*answer[:2], half), len(half)


def flipped(answer: Answer) -> tuple[Answer, int]:
    data = bytearray(answer[2])
    data[len(data) // 2] ^= 255
    return (*answer[:2], bytes(data)), len(data)


PAGE = whole("text/html", b"<html>Who are you?</html>")
SAID = {
    "a page for refs": ("refs", PAGE, "answers text/html, and not as a Git server", "git clone"),
    "a page for objects": ("pack", PAGE, "answers text/html, and not as a Git server", "git clone"),
    "words for refs": ("refs", whole("", b"this is no Git at all"), "not Git's protocol", "git ls-remote"),
    "words for objects": ("pack", whole("", b"this is no Git at all"), "not Git's protocol", "git ls-remote"),
    "nothing for refs": ("refs", whole("", b""), "no list of refs", "git ls-remote"),
    "nothing for objects": ("pack", whole("", b""), "broke off while it sent what its refs lead to", "git fsck"),
    "half the refs": ("refs", cut, "broke in the middle of an answer", "limits of a proxy"),
    "half the objects": ("pack", cut, "broke in the middle of an answer", "limits of a proxy"),
    "a short list of refs": ("refs", short, "unreachable", "git ls-remote"),
    "a short pack": ("pack", short, "broke off", "git fsck"),
    "a flipped byte": ("pack", flipped, "is no sound pack", "git fsck"),
    "forbidden": ("pack", whole("text/plain", b"no", 403), "lets nobody read", "git_token_file"),
}


def refused(url: str, state: Path) -> SourceError:
    with pytest.raises(SourceError) as caught:
        following(Access(url), state).poll()
    assert STAYS in caught.value.hint and caught.value.transient and "\n" not in str(caught.value)
    return caught.value


@pytest.fixture(autouse=True)
def trusted(server: tuple[Server, Mangling], monkeypatch: pytest.MonkeyPatch) -> None:
    pygit2.settings.set_ssl_cert_locations(str(server[1].certificate), None)
    monkeypatch.setenv("SSL_CERT_FILE", str(server[1].certificate))
    asking._old.clear()
    server[0].changes.clear()


@pytest.mark.parametrize("kind", SAID)
def test_what_came_is_named_and_the_clone_follows_on(
    server: tuple[Server, Mangling], tmp_path: Path, kind: str
) -> None:
    here, running = server
    what, change, words, fix = SAID[kind]
    here.changes[what] = change
    said = refused(running.url("remote.git"), tmp_path / "state")
    assert words in said.message and fix in said.hint, (said.message, said.hint)
    here.changes.clear()
    asking._old.clear()
    assert following(Access(running.url("remote.git")), tmp_path / "state").poll().sequence == 1


@pytest.mark.parametrize(
    ("name", "words", "fix"),
    [
        ("lost", "at an object that it cannot read itself: ", "push it again from a whole clone"),
        ("damaged", "at an object that it cannot read itself: ", "push it again from a whole clone"),
        ("partial", "it is a partial clone: ", "--mirror"),
    ],
)
def test_a_server_that_cannot_read_its_own_objects_names_one(
    server: tuple[Server, Mangling], tmp_path: Path, name: str, words: str, fix: str
) -> None:
    here, running = server
    said = refused(running.url(name), tmp_path / "state")
    lost = git(here.folder / "remote.git", "ls-tree", "-r", "main")
    assert words in said.message and said.message.rpartition(" ")[2] in lost, said.message
    assert fix in said.hint and "git fsck" in said.hint
