"""A tree as a container engine makes it, one member after the other.

In: entries at paths. Out: paths and what is there in the end. Rules (containerd, pkg/archive; OCI image spec, "Layer
changesets"): links on the way to a path are followed, and never lead out of the root; folders that are missing are made
(0755, root); a folder over a folder gives it other permissions; anything else first removes what was there, with all
that was in it.

    tree = Tree("layer.tar")
    tree.put("lib", Entry(stat.S_IFLNK, link="usr/lib"))
    tree.put("lib/a", Entry(stat.S_IFREG))  ->  usr/lib/a
"""

import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

from gitops.assemble.tars.names import base, parent
from gitops.errors import AssembleError

MAX_LINKS = 40
"""Links on the way to one path (path_resolution(7))."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One inode: paths with the same entry are hard links. `source` is where the reader finds its bytes again."""

    kind: int
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    size: int = 0
    link: str = ""
    xattrs: Mapping[str, bytes] = field(default_factory=dict)
    source: object = None
    implied: bool = False

    @property
    def folder(self) -> bool:
        return self.kind == stat.S_IFDIR


class Tree:
    """Entries by path; `` is the root. `name` is for messages."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.entries: dict[str, Entry] = {"": Entry(stat.S_IFDIR, implied=True)}
        self._below: dict[str, set[str]] = {}

    def put(self, path: str, entry: Entry) -> str:
        """Put an entry at a path, and say where that is.

        Raises:
            AssembleError: something on the way is no folder.
        """
        path = self.real(path)
        existing = self.entries.get(path)
        if path == "" and not entry.folder:
            raise AssembleError(f"{self._name}: the root is not a folder")
        if existing and not (existing.folder and entry.folder):
            self.remove(path)
        self._set(path, entry)
        return path

    def real(self, path: str) -> str:
        """The path with the links of its parents followed, and its parents made."""
        where = self._followed(path, parent(path)) if "/" in path else ""
        return f"{where}/{base(path)}".lstrip("/")

    def remove(self, path: str, *, inside: bool = False) -> None:
        """Take away what is at a path, or only what is in it."""
        todo = [*self._below.pop(path, ())]
        while todo:  # a path has room for 2,000 folders, Python's stack for 1,000
            child = todo.pop()
            todo += self._below.pop(child, ())
            del self.entries[child]
        if not inside and path in self.entries:
            del self.entries[path]
            self._below.get(parent(path), set()).discard(path)

    def folder(self, path: str) -> str:
        """The path of a folder with all its links followed, made if need be."""
        return self._followed(path, path)

    def _set(self, path: str, entry: Entry) -> None:
        self.entries[path] = entry
        if path:
            self._below.setdefault(parent(path), set()).add(path)

    def _followed(self, path: str, folder: str) -> str:
        todo, done, followed = folder.split("/")[::-1], "", 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                done = parent(done)
                continue
            here = f"{done}/{part}".lstrip("/")
            entry = self.entries.get(here)
            if entry and entry.kind == stat.S_IFLNK:
                followed += 1
                if followed > MAX_LINKS:
                    raise AssembleError(f"{self._name}: the links on the way to {path} lead nowhere")
                done = "" if entry.link.startswith("/") else done
                todo += entry.link.split("/")[::-1]
                continue
            if entry and not entry.folder:
                raise AssembleError(f"{self._name}: {path} is in {here}, which is not a folder")
            if not entry:
                self._set(here, Entry(stat.S_IFDIR, implied=True))
            done = here
        return done
