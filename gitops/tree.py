"""Files by path, wherever they come from: a commit, a folder, or memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Entry:
    """One file of a tree: Git's mode (0o100644, 0o100755, 0o120000) and blob id, and its size in bytes."""

    path: str
    mode: int
    id: str
    size: int


class Tree(Protocol):
    """The files of one commit (or of a folder on disk), read by path and never checked out.

    `entries` are by path; `read` gives one, `tree_id` a folder's id (Git's, 40 hex): both raise `KeyError`.
    """

    def entries(self) -> Mapping[str, Entry]: ...
    def read(self, path: str) -> bytes: ...
    def tree_id(self, folder: str) -> str: ...
