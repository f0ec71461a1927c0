"""What was read before: small files by blob id, so that a new revision costs what is new in it.

In: a Tree, or a file's path and blob id. Out: its bytes, or what was made of it. Rules: only what has no mistakes is
kept (a mistake is told each time); what is kept is never changed by its users; bounded, forgotten as a whole when full.

    level = KNOWN.get(path, entry, BoxFile) or KNOWN.put(path, entry, BoxFile, read(...))
    tree = Remembering(tree)        # for one load: files that every box reads are read once
"""

from typing import Any

from gitops.model.source import Entry, Tree

MAX_FILE = 4096
"""Bytes of a file that is kept: what says little about one box."""
MAX_TOTAL = 1 << 20
"""Bytes of all files that are kept; what is made of them takes a hundred times that at worst."""


class Known:
    """Values made of files. Safe between threads: the worst of a race is that a file is read again."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str, object], Any] = {}
        self._total = 0

    def get(self, path: str, entry: Entry, kind: object) -> Any:
        """What was made of this very file, as this kind; None if it is not known."""
        return self._values.get((path, entry.id, kind))

    def put(self, path: str, entry: Entry, kind: object, value: Any) -> None:
        """Keep a value, if the file is small."""
        if entry.size > MAX_FILE:
            return
        if self._total + max(entry.size, 64) > MAX_TOTAL:
            self.forget()
        self._values[path, entry.id, kind] = value
        self._total += max(entry.size, 64)

    def forget(self) -> None:
        """Begin anew."""
        self._values, self._total = {}, 0


KNOWN = Known()


class Remembering:
    """A Tree that reads a small file once."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._read: dict[str, bytes] = {}
        self.entries = tree.entries
        self.tree_id = tree.tree_id

    def read(self, path: str) -> bytes:
        if path in self._read:
            return self._read[path]
        data = self._tree.read(path)
        if len(data) <= MAX_FILE and len(self._read) < MAX_FILE:
            self._read[path] = data
        return data
