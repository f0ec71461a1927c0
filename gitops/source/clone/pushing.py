"""Commits of our own, in a clone of their own, pushed so that nobody else's are ever overwritten.

In: the remote, a folder; files to replace, a message, a way to sign. Out: commits and tags, there and on the remote.
Rules: nothing is checked out, no hook and no configuration of this machine is read; a ref moves only from the object
that the caller expects, which the remote compares again when it takes the push (gitprotocol-pack, Reference Update
Request): the difference to `--force-with-lease` is that it cannot be left away.

    clone = PushClone(Access(url), state / "security", sign)
    head = clone.fetch("main")
    made = clone.commit(Draft(head, {"pkg/a/packages.lock": data}, "locks: ...", now))
    clone.push("refs/heads/main", made, expected=head)
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pygit2
import structlog
from pygit2.remotes import PushUpdate

from gitops.errors import SourceError, StoreError
from gitops.source.clone.commits import DAMAGE, Clone
from gitops.source.clone.remote import (
    Access,
    Callbacks,
    Heads,
    connect,
    download,
    list_heads,
    packs,
    unreachable,
)
from gitops.source.objects.bounds import FILE
from gitops.source.remotes.redacting import redact

log = structlog.get_logger(__name__)

MAX_PACKS = 200
"""Every fetch leaves packs, and libgit2 never joins them: above this the clone is made again."""
WHO = "TowerOS <toweros-security@localhost>"
ABSENT = "0" * 40
Sign = Callable[[bytes], bytes]
"""Bytes -> an armoured SSH signature of the namespace `git`."""


class MovedError(SourceError):
    """The ref is no longer what it was: somebody else pushed. `seen`: what it is."""

    seen = ""


@dataclass(frozen=True)
class Draft:
    """A commit to be: on `parent`, with files replaced. `time`: Unix seconds."""

    parent: str
    files: Mapping[str, bytes]
    message: str
    time: int


class PushClone(Clone):
    """A bare clone below `folder`."""

    def __init__(self, access: Access, folder: Path, sign: Sign) -> None:
        access.check()
        folder.mkdir(parents=True, exist_ok=True)
        access.home(folder / "home")
        self._access, self._sign, self._path = access, sign, folder / "clone.git"
        if packs(self._path) > MAX_PACKS:
            shutil.rmtree(self._path)
        with _writing(folder):
            super().__init__(_open(self._path))

    def heads(self) -> Heads:
        """What the remote has now. Raises SourceError as `list_heads` does."""
        return list_heads(self.repository, self._access)

    def fetch(self, branch: str) -> str:
        """The commit of a branch, with its history.

        Raises:
            SourceError: the remote is away (transient) or has no such branch.
        """
        commit = self.heads().commit(branch)
        if not self.has(commit):
            spec = f"+refs/heads/{branch}:refs/remotes/origin/{branch}"
            try:
                download(self.repository, self._access, spec)
            except DAMAGE as error:
                log.warning("security.not_fetched", error=self._access.clean(str(error)))
                self._anew(spec)
        return commit

    def _anew(self, spec: str) -> None:
        """Fetch into a new clone, which takes this one's place once it has everything: whether the remote or what is
        here was to blame, a download that fails takes nothing away."""
        place = self._path.with_name("clone.new")
        shutil.rmtree(place, ignore_errors=True)
        try:
            download(pygit2.init_repository(str(place), bare=True), self._access, spec)
        except DAMAGE as error:
            raise unreachable(self._access, error) from error
        self.repository.free()
        shutil.rmtree(self._path, ignore_errors=True)
        place.rename(self._path)
        self.repository = pygit2.Repository(str(self._path))

    def commit(self, draft: Draft) -> str:
        """A signed commit, which no branch has yet. Raises StoreError: it cannot be written."""
        index = self.index(draft.parent)
        with _writing(self._path):
            for path, data in draft.files.items():
                index.add(pygit2.IndexEntry(path, self.repository.create_blob(data), pygit2.enums.FileMode(FILE)))
            tree = str(index.write_tree(self.repository))
        return self.commit_tree(draft.parent, tree, draft.message, draft.time)

    def index(self, commit: str) -> pygit2.Index:
        """The files of a commit, to be changed."""
        index = pygit2.Index()
        index.read_tree(self._commit(commit).peel(pygit2.Tree))
        return index

    def commit_tree(self, parent: str, tree: str, message: str, time: int) -> str:
        """A signed commit of a tree that is here, which no branch has yet."""
        when = f"{WHO} {time} +0000"
        head = f"tree {tree}\nparent {parent}\nauthor {when}\ncommitter {when}\n"
        body = f"\n{message}"
        signature = self._sign((head + body).encode()).decode().strip().replace("\n", "\n ")
        return self._write(pygit2.enums.ObjectType.COMMIT, f"{head}gpgsig {signature}\n{body}")

    def ours(self, commit: str) -> bool:
        """Whether our key signed it: to sign its words again gives the same (Ed25519, RFC 8032)."""
        signature, words = self._commit(commit).gpg_signature
        return bool(signature) and self._sign(words).split() == signature.split()

    def tag(self, name: str, commit: str, message: str, time: int) -> str:
        """A signed annotated tag, which the remote does not have yet."""
        text = f"object {commit}\ntype commit\ntag {name}\ntagger {WHO} {time} +0000\n\n{message.rstrip()}\n"
        return self._write(pygit2.enums.ObjectType.TAG, text + self._sign(text.encode()).decode())

    def raw_tag(self, tag: str) -> bytes:
        """The bytes of a tag of ours."""
        data: bytes = self.repository[pygit2.Oid(hex=tag)].read_raw()
        return data

    def push(self, ref: str, target: str, expected: str) -> None:
        """Move a ref of the remote to an object of ours. `expected`: what it is now; empty: it is not there.

        Raises:
            MovedError: it is something else. SourceError: the remote is away (transient), or does not let us.
        """
        # libgit2 pushes refs of the clone, so the object gets a name here.
        local = "refs/toweros/push"
        with _writing(self._path):
            self.repository.references.create(local, pygit2.Oid(hex=target), force=True)
        self._send(f"+{local}:{ref}", ref, expected)

    def remove(self, ref: str, expected: str) -> None:
        """Take a ref away. Raises as `push`."""
        self._send(f":{ref}", ref, expected)

    def _send(self, spec: str, ref: str, expected: str) -> None:
        send(self.repository, self._access, spec, ref, expected)

    def _write(self, kind: pygit2.enums.ObjectType, text: str) -> str:
        with _writing(self._path):
            return str(self.repository.odb.write(int(kind), text.encode()))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Raises StoreError: of a full disk, libgit2 says "no error"."""
    try:
        yield
    except (pygit2.GitError, OSError) as error:
        free = f"{shutil.disk_usage(path).free >> 10} KiB are free"
        raise StoreError(f"cannot write {path} ({free}): {error}", hint="is the disk full?") from error


def send(repository: pygit2.Repository, access: Access, spec: str, ref: str, expected: str) -> None:
    """Push `spec`, which moves the remote's `ref` from what we expect there. Raises as `PushClone.push`."""
    callbacks = _Pushing(access, ref, expected or ABSENT)
    proxy = True if access.url.startswith("https://") else None
    try:
        with connect(repository, access, callbacks) as remote:
            remote.push([spec], callbacks=callbacks, proxy=proxy)
    except DAMAGE as error:
        raise unreachable(access, error) from error
    if callbacks.refused:
        hint = "may the controller's key or token write there? See docs/updates.md"
        refused = access.clean(callbacks.refused)
        raise SourceError(f"{redact(access.url)} does not take {ref}: {refused}", hint=hint)


class _Pushing(Callbacks):
    """Compares the ref with what we expect before anything is sent, and hears what the remote says of it."""

    def __init__(self, access: Access, ref: str, expected: str) -> None:
        super().__init__(access)
        self._ref, self._expected, self.refused = ref, expected, ""

    def push_negotiation(self, updates: list[PushUpdate]) -> None:
        for update in updates:
            if update.dst_refname == self._ref and str(update.src) != self._expected:
                hint = "nothing is overwritten; it is looked at again at the next run"
                moved = MovedError(f"somebody else pushed to {self._ref}: it is {str(update.src)[:12]}", hint=hint)
                moved.seen = str(update.src)
                raise moved

    def push_update_reference(self, refname: str, message: str | None) -> None:
        self.refused = self.refused or message or ""


def _open(path: Path) -> pygit2.Repository:
    for file in path.rglob("*.lock"):  # a killed push leaves them: libgit2 would refuse to write a ref
        file.unlink()
    try:
        repository = pygit2.Repository(str(path))
        repository.references["HEAD"]  # a damaged one opens, and then nothing can be fetched into it
        return repository
    except (pygit2.GitError, KeyError, ValueError):
        shutil.rmtree(path, ignore_errors=True)
        return pygit2.init_repository(str(path), bare=True)
