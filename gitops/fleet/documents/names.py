"""Names that are not what they look like, or that not every clone or box can have.

In: names; a Tree. Out: what is wrong with them. Rules: a name has no character that nobody sees (control characters,
zero width, direction, fillers; Unicode's Default_Ignorable_Code_Point) and no space but the common one; two that only
differ in how accents are written, or in case, are one file on other systems. In packages and apps case may differ (the
kernel's sources have such files): boxes and builders are Linux.

    unseen("a\\u200bb")                    # -> (1, "a character that nobody sees, U+200B")
    problems += mistakes(tree, ["pkg/hello"])
"""

import re
import unicodedata
from collections.abc import Collection, Iterator
from functools import lru_cache

from gitops.errors import Problem
from gitops.model import Tree

MAX_PART = 255
"""Bytes of one part of a path: what Linux file systems, EROFS among them, allow."""
MAX_PATH = 1024
"""Bytes of a path, as in Git (`source.objects.bounds`)."""
_INVISIBLE = ("Cc", "Cf", "Zl", "Zp", "Cs")
"""Unicode's categories: control characters, format characters (zero width, direction), separators of lines, no text."""
_FILLERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""What is drawn as nothing, and is a letter or a mark by its category; the blank of Braille besides."""


def unseen(text: str) -> tuple[int, str]:
    """The first character that people cannot tell from nothing, or from a space: its index, and what it is."""
    if text.isascii() and text.isprintable():
        return 0, ""
    for index, letter in enumerate(text):
        kind = unicodedata.category(letter)
        if kind in _INVISIBLE or _FILLERS.match(letter):
            return index, f"a character that nobody sees, U+{ord(letter):04X}"
        if kind == "Zs" and letter != " ":
            return index, f"a character that looks like a space, U+{ord(letter):04X}"
    return 0, ""


def checked_path(path: str) -> str:
    """A path that a box can have, and people can read.

    Raises:
        ValueError: it is none.
    """
    if what := unseen(path)[1]:
        raise ValueError(f"the name has {what}: write it without")
    if len(path.encode()) > MAX_PATH or any(len(part.encode()) > MAX_PART for part in path.split("/")):
        raise ValueError(f"a path has at most {MAX_PATH} bytes, and {MAX_PART} between two slashes")
    return path


def mistakes(tree: Tree, content: Collection[str]) -> Iterator[Problem]:
    """What is wrong with the names of a fleet repo's files. `content`: folders that go to builds and boxes whole."""
    first: dict[tuple[str, str], str] = {}
    seen: set[str] = set()
    for path in sorted(tree.entries()):
        if what := unseen(path)[1]:
            yield Problem(_shown(path), 1, 1, f"the name has {what}", "`git mv` it to a name without")
            continue
        above = ""
        for part in path.split("/"):
            name = f"{above}/{part}" if above else part
            if name not in seen:
                seen.add(name)
                other = first.setdefault((above, _folded(part, within(above, content))), name)
                if other != name:
                    yield _twin(name, other)
            above = name


def within(folder: str, content: Collection[str]) -> bool:
    """Whether a folder is one of these, or below one."""
    parts = folder.split("/")
    return any("/".join(parts[: end + 1]) in content for end in range(len(parts)))


@lru_cache(maxsize=10_000)
def _folded(part: str, with_case: bool) -> str:
    """What another system may take a name for: APFS does not tell how accents are written, nor case, as NTFS."""
    text = unicodedata.normalize("NFC", part)
    return text if with_case else unicodedata.normalize("NFC", text.casefold())


def _twin(name: str, other: str) -> Problem:
    if unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", other):
        message = f"looks like `{_shown(other)}`, and is another name: its accents are written otherwise"
        return Problem(_shown(name), 1, 1, message, "`git rm` one of them, or give it another name")
    message = f"is `{other}` on systems that do not tell case (macOS, Windows): a clone there has one of them"
    return Problem(name, 1, 1, message, "`git rm` one of them, or give it another name")


def _shown(path: str) -> str:
    return path.encode("unicode_escape").decode()
