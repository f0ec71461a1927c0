"""Files that are not what they look like: Git LFS pointers, and names with characters that nobody sees.

In: a Tree. Out: problems. Rules: a pointer is a mistake wherever its text would get onto a box: in a package, beside
a compose file, as a `source:`; a name is one anywhere, as it stands in plans that people read.

    problems += mistakes(tree)
    message, hint = source_mistake(tree, "tool", tree.read("tool"))
"""

import unicodedata
from collections.abc import Iterator

from gitops.errors import Problem
from gitops.model import Tree

POINTER = b"version https://git-lfs.github.com/spec/"
MAX_POINTER = 1024
"""Bytes that a pointer has at most (git-lfs, docs/spec.md)."""
POINTER_MESSAGE = "is a pointer of Git LFS, and the file itself is not in Git"
POINTER_HINT = "`git lfs migrate export --include=PATH` puts it into Git; or fetch it in a package, by its digest"
LINK = 0o120000
"""Git's mode of a symbolic link."""
MARKS = ("build.yml", "docker-compose.yml")
"""A folder with one of these goes to boxes with all that is in it."""
UNSEEN = ("Cc", "Cf", "Zl", "Zp", "Cs")
"""Unicode's categories: control characters, format characters (zero width, direction), separators of lines, no text."""
MAX_PLAIN = 100_000

_plain: set[str] = set()
"""Ids of blobs that were read and are no pointers."""


def mistakes(tree: Tree) -> list[Problem]:
    """What is wrong with a fleet repo's files as files."""
    return [*_names(tree), *_pointers(tree)]


def is_pointer(data: bytes) -> bool:
    """Whether a file's bytes are what Git LFS leaves in Git in place of the file."""
    return len(data) <= MAX_POINTER and data.startswith(POINTER)


def source_mistake(tree: Tree, path: str, data: bytes) -> tuple[str, str]:
    """Why a file cannot be a `source:`, and the fix; empty when it can."""
    entry = tree.entries().get(path)
    if entry and entry.mode == LINK:
        return f"{path} is a link", "name the file itself"
    return (f"{path} {POINTER_MESSAGE}", POINTER_HINT) if is_pointer(data) else ("", "")


def _names(tree: Tree) -> Iterator[Problem]:
    for path in tree.entries():
        if not path.isascii() or not path.isprintable():
            unseen = next((char for char in path if unicodedata.category(char) in UNSEEN), "")
            if unseen:
                shown = path.encode("unicode_escape").decode()
                message = f"the name has a character that nobody sees, U+{ord(unseen):04X}"
                yield Problem(shown, 1, 1, message, "`git mv` it to a name without")


def _pointers(tree: Tree) -> Iterator[Problem]:
    folders = {path.rpartition("/")[0] + "/" for path in tree.entries() if path.rpartition("/")[2] in MARKS}
    if len(_plain) > MAX_PLAIN:
        _plain.clear()
    for path, entry in tree.entries().items():
        if entry.size > MAX_POINTER or entry.id in _plain or not _inside(path, folders):
            continue
        if is_pointer(tree.read(path)):
            yield Problem(path, 1, 1, POINTER_MESSAGE, POINTER_HINT)
        else:
            _plain.add(entry.id)


def _inside(path: str, folders: set[str]) -> bool:
    parts = path.split("/")
    return any("/".join(parts[:count]) + "/" in folders for count in range(1, len(parts)))
