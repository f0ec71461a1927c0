"""A remote that is a folder of this machine: its refs, and one of them at a time to be fetched.

In: a path. Out: heads; a repository that holds nothing but the wanted refs, for libgit2 to fetch from. Rules: libgit2's
transport for folders reads every tag and gives up at the first that it cannot parse, so whoever may push a tag could
stop everybody; here one bad object is only its own ref's trouble. Nothing is written in the remote.

    heads = local.heads(Path("/srv/fleet.git"))
    with local.view(Path("/srv/fleet.git"), ["refs/heads/main"]) as folder: ...
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pygit2

SCP = re.compile(r"[A-Za-z0-9._-]+@([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?!//)\S+")
"""`user@host:path`, as ssh knows it."""
MAX_TAG = 1 << 20
"""Bytes of a tag's object that is looked into."""
MAX_NESTED = 5


@dataclass(frozen=True)
class Head:
    """A ref of the remote, as a server would say it. `peeled`: what a tag's object leads to, or empty."""

    name: str
    id: str
    peeled: str = ""


def place(url: str) -> Path | None:
    """The folder that a URL means; None: it is none of this machine."""
    if url.startswith("file://"):
        return Path(unquote(url.removeprefix("file://").removeprefix("localhost")))
    # As git: what has a colon before its first slash is a host and a path, unless there is such a file.
    elsewhere = "://" in url or SCP.fullmatch(url) or (":" in url.partition("/")[0] and not Path(url).exists())
    return None if elsewhere else Path(url)


def heads(folder: Path) -> tuple[list[Head], str]:
    """All refs, and the one that HEAD names (empty: none)."""
    repository = pygit2.Repository(str(folder))
    found = []
    for ref in repository.references.iterator():
        target = _end(repository, ref)
        if target:
            peeled = _peeled(repository, target) if ref.name.startswith("refs/tags/") else ""
            found.append(Head(ref.name, target, peeled))
    head = repository.lookup_reference("HEAD").target
    return found, head if isinstance(head, str) else ""


def _end(repository: pygit2.Repository, ref: pygit2.Reference) -> str:
    """The object that a ref names, through symbolic refs; empty: it hangs."""
    try:
        return str(ref.resolve().target)
    except (pygit2.GitError, KeyError):
        return ""


def _peeled(repository: pygit2.Repository, identity: str) -> str:
    """What a tag's object leads to, read without judging it: `object` is the first line (git-mktag(1))."""
    end = ""
    for _ in range(MAX_NESTED):
        try:
            kind, size = repository.odb.read_header(pygit2.Oid(hex=identity))
            if kind != pygit2.enums.ObjectType.TAG:
                return end
            line = repository.odb.read(pygit2.Oid(hex=identity))[1].partition(b"\n")[0] if size <= MAX_TAG else b""
            identity = end = line.removeprefix(b"object ").decode()
        except (pygit2.GitError, KeyError, ValueError):
            return ""
    return ""


@contextmanager
def view(folder: Path, refs: Iterable[str]) -> Iterator[str]:
    """A repository with these refs alone, whose objects are the remote's.

    Raises:
        KeyError: the remote has no such ref. pygit2.GitError: it is no repository.
    """
    source = pygit2.Repository(str(folder))
    wanted = {ref: str(source.lookup_reference(ref).resolve().target) for ref in refs}
    with tempfile.TemporaryDirectory(prefix="toweros-") as name:
        pygit2.init_repository(name, bare=True)
        objects = _common(Path(source.path)) / "objects"
        (Path(name) / "objects/info/alternates").parent.mkdir(parents=True, exist_ok=True)
        (Path(name) / "objects/info/alternates").write_text(f"{objects}\n")
        for ref, identity in wanted.items():
            # Written by hand: libgit2 looks at the object first.
            (Path(name) / ref).parent.mkdir(parents=True, exist_ok=True)
            (Path(name) / ref).write_text(f"{identity}\n")
        yield name


def _common(path: Path) -> Path:
    """Where the objects are; of a linked worktree, its main repository (gitrepository-layout(5))."""
    file = path / "commondir"
    return (path / file.read_text().strip()).resolve() if file.is_file() else path.resolve()
