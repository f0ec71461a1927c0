"""Files of a fleet repo that were read before, by blob id: a new revision costs what is new in it.

In: a Tree, or a file's path and blob id. Out: its bytes, or what was made of them. Rules: only what has no mistakes is
cached (a mistake is reported each time); nobody changes a cached value; bounded, emptied as a whole when full.

    parsed = PARSED.get(path, entry, BoxFile) or PARSED.put(path, entry, BoxFile, parse(...))
    tree = CachedTree(tree)         # for one load: files that every box needs are read once
"""

from collections.abc import Callable
from typing import Any, TypeVar

from gitops.fleet.documents.budget import spend
from gitops.fleet.documents.doubt import Doubt
from gitops.model.source import Entry, Tree

Made = TypeVar("Made")
MAX_FILE = 4096
"""Bytes of a file that is cached: what says little about one box."""
MAX_TOTAL = 1 << 20
"""Bytes of all files that are cached; what is made of them takes a hundred times that at worst."""


class ParsedFiles:
    """Values made of files. Safe between threads: the worst of a race is that a file is read again."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str, object], Any] = {}
        self._total = 0

    def get(self, path: str, entry: Entry, kind: object) -> Any:
        """What was made of this very file, as this kind; None if it is not cached."""
        return self._values.get((path, entry.id, kind))

    def put(self, path: str, entry: Entry, kind: object, value: Any) -> None:
        """Cache a value, if its file is small."""
        if entry.size > MAX_FILE:
            return
        size = max(entry.size, 64)
        if self._total + size > MAX_TOTAL:
            self.clear()
        self._values[path, entry.id, kind] = value
        self._total += size

    def clear(self) -> None:
        """Begin anew."""
        self._values, self._total = {}, 0


PARSED = ParsedFiles()


class CachedTree:
    """A Tree that reads a small file once, and counts what larger ones cost when they are read again (`budget`)."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._files: dict[str, bytes] = {}
        self._large: set[str] = set()
        self._texts: dict[tuple[str, str], str] = {}
        self._made: dict[object, Any] = {}
        self.doubts: dict[str, Doubt] = {}
        self.entries = tree.entries
        self.tree_id = tree.tree_id

    def read(self, path: str) -> bytes:
        if path in self._files:
            return self._files[path]
        data = self._tree.read(path)
        if len(data) <= MAX_FILE and len(self._files) < MAX_FILE:
            self._files[path] = data
        elif path in self._large:
            spend(len(data), path)  # read again for each role or box
        self._large.add(path)
        return data

    def once(self, key: object, make: Callable[[], Made]) -> Made:
        """What is made of files for whoever needs it, made one time. A key names one kind of thing."""
        if key not in self._made:
            self._made[key] = make()
        made: Made = self._made[key]
        return made

    def text(self, path: str, errors: str) -> str:
        """A file's text, one string for whoever has it."""
        if (path, errors) not in self._texts:
            self._texts[path, errors] = self.read(path).decode(errors=errors)
        return self._texts[path, errors]


def once(tree: Tree, key: object, make: Callable[[], Made]) -> Made:
    """What is made of a tree's files, one time where it remembers."""
    return tree.once(key, make) if isinstance(tree, CachedTree) else make()


def text_of(tree: Tree, path: str, errors: str = "strict") -> str:
    """The text of a file. Raises KeyError, UnicodeDecodeError."""
    return tree.text(path, errors) if isinstance(tree, CachedTree) else tree.read(path).decode(errors=errors)
