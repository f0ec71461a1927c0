"""A remote that is a folder of this machine: its refs, and what they lead to.

In: a path. Out: heads; objects in a clone. Rules: only what is wanted comes, and one bad object is only its own ref's
trouble (libgit2's transport for folders reads every tag and gives up at the first that it cannot parse, so whoever may
push a tag could stop everybody); refs are read as files, as 20,000 of them are asked for at every poll; nothing is
written in the remote.

    heads, default = local.heads(Path("/srv/fleet.git"))
    local.fetch(repository, Path("/srv/fleet.git"), {"refs/remotes/origin/main": "refs/heads/main"})
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

import pygit2

from gitops.errors import SourceError
from gitops.source.remotes import packing, unfit

SCP = re.compile(r"[A-Za-z0-9._-]+@([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?!//)\S+")
"""`user@host:path`, as ssh knows it."""
MAX_TAG = 1 << 20
"""Bytes of a tag's object that is looked into."""
MAX_NESTED = 5
MAX_PACKED = 64 << 20
"""Bytes of `packed-refs`: half a million refs."""
MAX_REF = 1024
"""Bytes of a ref's file."""
_ID = re.compile(rb"[0-9a-f]{40}")
KINDS = ("refs/heads/", "refs/tags/")
_PACKED = re.compile(rb"^([0-9a-f]{40}) (refs/(?:heads|tags)/[^\n]+)\n(?:\^([0-9a-f]{40})\n)?", re.MULTILINE)
"""A ref and what its tag leads to (gitrepository-layout(5), packed-refs)."""


@dataclass(frozen=True)
class Head:
    """A ref of the remote, as a server would say it. `peeled`: what a tag's object leads to, or empty."""

    name: str
    id: str
    peeled: str = ""
    known: bool = False
    """`peeled` is empty because it is no tag's object."""


def place(url: str) -> Path | None:
    """The folder that a URL means; None: it is none of this machine."""
    if url.startswith("file://"):
        return Path(unquote(url.removeprefix("file://").removeprefix("localhost")))
    # As git: what has a colon before its first slash is a host and a path, unless there is such a file.
    elsewhere = "://" in url or SCP.fullmatch(url) or (":" in url.partition("/")[0] and not Path(url).exists())
    return None if elsewhere else Path(url)


def heads(folder: Path) -> tuple[list[Head], str]:
    """All branches and tags, and the ref that HEAD names (empty: none).

    Raises:
        SourceError: it is no repository that we can follow. pygit2.GitError, OSError: it cannot be read.
    """
    unfit.check(folder)
    repository = pygit2.Repository(str(folder))
    common = unfit.common_folder(Path(repository.path))
    named = _packed(common) | {head.name: head for head in _loose(repository, common)}
    found = [
        head
        if head.known or head.peeled or head.name.startswith("refs/heads/")
        else replace(head, peeled=_peeled(repository, head.id))
        for head in named.values()
    ]
    target = repository.lookup_reference("HEAD").target
    return found, target if isinstance(target, str) else ""


def _packed(common: Path) -> dict[str, Head]:
    """The refs in the one file that `git pack-refs` writes."""
    file = common / "packed-refs"
    if not file.exists():
        return {}
    if file.stat().st_size > MAX_PACKED:
        raise SourceError(
            f"the remote has more than {MAX_PACKED >> 20} MiB of refs", hint="remove refs that nobody needs"
        )
    data = file.read_bytes()
    rows = ((_readable(os.fsdecode(match[2])), match[1].decode(), match[3]) for match in _PACKED.finditer(data))
    # With this word in its first line, what has no `^` line is no tag object.
    peeled = b"fully-peeled" in data.partition(b"\n")[0]
    return {name: Head(name, oid, end.decode() if end else "", peeled) for name, oid, end in rows}


def _loose(repository: pygit2.Repository, common: Path) -> Iterator[Head]:
    """The refs that have files of their own; they count before packed ones."""
    for kind in KINDS:
        for folder, _, files in os.walk(common / kind):
            prefix = Path(folder).relative_to(common).as_posix()
            for each in files:
                name = _readable(f"{prefix}/{each}")
                if identity := _target(repository, Path(folder, each), name):
                    yield Head(name, identity)


def _readable(name: str) -> str:
    """A name that is not UTF-8 gets a `?`, which no ref may have: it is passed over."""
    return name.encode(errors="replace").decode()


def _target(repository: pygit2.Repository, path: Path, name: str) -> str:
    """The object that a ref names, through symbolic refs; empty: it hangs."""
    try:
        with path.open("rb") as stream:
            said = stream.read(MAX_REF).strip()
        if _ID.fullmatch(said):
            return said.decode()
        return str(repository.lookup_reference(name).resolve().target)
    except (pygit2.GitError, KeyError, OSError, ValueError):
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


def fetch(repository: pygit2.Repository, folder: Path, refs: Mapping[str, str]) -> None:
    """Have the remote's refs (values) under names of ours (keys), with all that they lead to, and nothing else.

    Raises:
        SourceError: a bound is passed. KeyError: the remote has no such ref. pygit2.GitError: it is no repository, or
            an object is missing or damaged.
    """
    unfit.check(folder)
    source, clone = pygit2.Repository(str(folder)), Path(repository.path)
    wanted = {name: str(source.lookup_reference(ref).resolve().target) for name, ref in refs.items()}
    with packing.lend(unfit.common_folder(Path(source.path)) / "objects", clone) as scratch:
        packing.receive(scratch, clone, {*wanted.values()}, _shared(repository, source))
    for name, identity in wanted.items():
        repository.references.create(name, pygit2.Oid(hex=identity), force=True)


def _shared(repository: pygit2.Repository, source: pygit2.Repository) -> set[str]:
    """Commits that both have, by our refs."""
    found = set()
    for ref in repository.references.iterator():
        with suppress(pygit2.GitError, KeyError, ValueError):
            found.add(ref.peel(pygit2.Commit).id)
    return {str(each) for each in found if each in source}
