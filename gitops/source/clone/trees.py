"""Trees: the files of a commit, or of a working folder, both as `model.Tree`.

    GitTree(repository, commit)   reads blobs by id out of a bare clone; nothing is ever checked out
    FolderTree(folder)            what `git add --all && git write-tree` would see now, uncommitted changes included

Both walk once, at construction, within `bounds`, and raise `SourceError` for what a fleet repo may not hold. A folder's
ids equal Git's (`source.folder`: line ends, encodings and modes as the commit will have them, for files that Git LFS
keeps elsewhere a pointer), so a plan made from a folder names what the commit will name. Of a commit no attribute
counts: its blobs are what is built.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

from gitops.errors import Problem, Reason, SourceError
from gitops.model import Entry
from gitops.source.folder.rules import Rules
from gitops.source.objects.bounds import LINK, MAX_DEPTH, SUBMODULE, Bounds, check_link
from gitops.source.objects.tree_objects import FOLDER, MAX_TREE, members

MAX_MISTAKES = 100
"""Files of a folder that are told to be none that a fleet repo may hold."""


def object_id(kind: str, data: bytes) -> str:
    """Git's id of an object: SHA-1 over `KIND SIZE NUL DATA` (gitformat-pack)."""
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data, usedforsecurity=False).hexdigest()


def tree_ids(entries: Mapping[str, Entry]) -> dict[str, str]:
    """Git's tree id of every folder that holds a file, the top as `""`."""
    children: dict[str, dict[str, tuple[int, str]]] = {"": {}}
    for path, entry in entries.items():
        folder, _, name = path.rpartition("/")
        children.setdefault(folder, {})[name] = (entry.mode, entry.id)
        while folder and folder.rpartition("/")[0] not in children:
            folder = folder.rpartition("/")[0]
            children[folder] = {}
    ids: dict[str, str] = {}
    # Deepest first: a folder's id is made of those below it.
    for folder in sorted(children, key=lambda path: path.count("/") + bool(path), reverse=True):
        ids[folder] = _tree_id(children[folder])
        if folder:
            parent, _, name = folder.rpartition("/")
            children[parent][name] = (FOLDER, ids[folder])
    return ids


def _tree_id(children: Mapping[str, tuple[int, str]]) -> str:
    # Git sorts folders as if their names ended with a slash.
    def order(name: str) -> bytes:
        return name.encode() + (b"/" if children[name][0] == FOLDER else b"")

    lines = (
        b"%o %s\0" % (children[n][0], n.encode()) + bytes.fromhex(children[n][1]) for n in sorted(children, key=order)
    )
    return object_id("tree", b"".join(lines))


class GitTree:
    """The files of one commit of a bare clone. `damaged` is called when an object turns out to be unreadable."""

    def __init__(self, repository: pygit2.Repository, commit: str, damaged: Callable[[], None] = lambda: None) -> None:
        self._repository, self._damaged = repository, damaged
        self.repository = repository
        self._folders = {"": str(repository[pygit2.Oid(hex=commit)].peel(pygit2.Commit).tree_id)}
        self._entries: dict[str, Entry] = {}
        bounds = Bounds()
        for entry in self._walk("", bounds):
            bounds.add(entry.path, entry.mode, entry.size)
            if entry.mode == LINK:
                check_link(entry.path, repository[pygit2.Oid(hex=entry.id)].read_raw())
            self._entries[entry.path] = entry

    def _walk(self, folder: str, bounds: Bounds) -> Iterator[Entry]:
        for member in members(folder, self._tree(folder)):
            path = folder + member.name
            if member.mode == FOLDER:
                bounds.enter(path)
                self._folders[path] = member.id
                yield from self._walk(path + "/", bounds)
            else:
                # A submodule's commit is in another repository: there is no object to ask.
                size = 0 if member.mode == SUBMODULE else self._header(path, member.id, ObjectType.BLOB)
                yield Entry(path, member.mode, member.id, size)

    def _tree(self, folder: str) -> bytes:
        """A folder's object: read as it is, for libgit2 overlooks what Git would not write."""
        identity = self._folders[folder.rstrip("/")]
        if self._header(folder, identity, ObjectType.TREE) > MAX_TREE:
            hint = "split the repo, or ignore what was built"
            raise SourceError(f"{folder}: too many files", hint=hint, reason=Reason.too_many)
        data: bytes = self._repository.odb.read(pygit2.Oid(hex=identity))[1]
        return data

    def _header(self, path: str, identity: str, wanted: ObjectType) -> int:
        """The size of an object, which is to be of this kind."""
        kind, size = self._repository.odb.read_header(pygit2.Oid(hex=identity))
        if kind != wanted:
            what = "a file" if wanted == ObjectType.BLOB else "a folder"
            hint = "write the tree again with `git add`"
            raise SourceError(f"{path}: is listed as {what}, and is none", hint=hint, reason=Reason.bad_object)
        return int(size)

    def entries(self) -> Mapping[str, Entry]:
        return self._entries

    def read(self, path: str) -> bytes:
        entry = self._entries[path]
        try:
            return self._repository[pygit2.Oid(hex=entry.id)].read_raw()
        except (pygit2.GitError, KeyError, ValueError) as error:
            self._damaged()
            raise SourceError(f"{path}: the clone is damaged", hint="it is fetched again at the next pass") from error

    def tree_id(self, folder: str) -> str:
        return self._folders[folder.strip("/")]


class FolderTree:
    """The files of a working folder as Git would commit them now.

    `.git` and what `.gitignore` names stay out (a tracked file stays in, ignored or not), as do sockets and devices.
    """

    def __init__(self, folder: Path, mistakes: list[Problem] | None = None) -> None:
        self._folder, self._mistakes = folder.resolve(), mistakes
        self.folder = self._folder
        if not self._folder.is_dir():
            raise SourceError(
                f"{folder}: there is no such folder", hint="name a fleet repo's folder, or run `toweros init`"
            )
        configure()
        self._rules = Rules(self._folder)
        self._entries: dict[str, Entry] = {}
        bounds = Bounds()
        for path in self._walk(""):
            try:
                self._entries[path] = self._entry(path, bounds)
            except SourceError as error:
                self._refuse(error)
        self._ids = tree_ids(self._entries)

    def _entry(self, path: str, bounds: Bounds) -> Entry:
        mode, size = self._facts(path)
        bounds.add(path, mode, size)
        data = self._data(path)
        if mode == LINK:
            check_link(path, data)
        return Entry(path, mode, object_id("blob", data), len(data))

    def _refuse(self, error: SourceError) -> None:
        """What is wrong with one file alone is told beside all else, when somebody asks for that."""
        file, colon, message = error.message.partition(": ")
        if self._mistakes is None or not colon or len(self._mistakes) >= MAX_MISTAKES:
            raise error
        self._mistakes.append(Problem(file, 0, 0, message, error.hint))

    def _walk(self, folder: str) -> Iterator[str]:
        if folder.count("/") > MAX_DEPTH:
            self._refuse(SourceError(f"{folder}: too deep", hint=f"use at most {MAX_DEPTH} folders"))
            return
        for child in sorted(os.scandir(self._folder / folder), key=lambda child: child.name):
            path = folder + child.name
            is_folder = child.is_dir(follow_symlinks=False)
            if child.name == ".git" or self._rules.ignores(path, is_folder):
                continue
            if is_folder:
                # `git add` would make a submodule of it.
                if os.path.lexists(Path(child.path) / ".git"):
                    hint = "remove its .git, or ignore it"
                    self._refuse(SourceError(f"{path}: is a repository of its own", hint=hint))
                yield from self._walk(path + "/")
            elif child.is_symlink() or child.is_file():
                yield path

    def _facts(self, path: str) -> tuple[int, int]:
        status = (self._folder / path).lstat()
        if stat.S_ISLNK(status.st_mode):
            return LINK, status.st_size
        size = len(self._data(path)) if self._rules.lfs(path) else status.st_size
        return self._rules.mode(path, bool(status.st_mode & stat.S_IXUSR)), size

    def _data(self, path: str) -> bytes:
        place = self._folder / path
        if place.is_symlink():
            return os.fsencode(place.readlink())
        return self._rules.added(path, place)

    def entries(self) -> Mapping[str, Entry]:
        return self._entries

    def read(self, path: str) -> bytes:
        self._entries[path]
        return self._data(path)

    def tree_id(self, folder: str) -> str:
        return self._ids[folder.strip("/")]


def configure() -> None:
    """Make libgit2 independent of the machine: no system or user configuration, no templates.

    The owner of a repository is not asked for: libgit2 runs no hook, filter or program that its configuration names.
    """
    for level in (pygit2.enums.ConfigLevel.SYSTEM, pygit2.enums.ConfigLevel.XDG, pygit2.enums.ConfigLevel.GLOBAL):
        pygit2.settings.search_path[level] = "/nonexistent"
    pygit2.settings.owner_validation = False
