"""Git's tree objects, read from their bytes, as strictly as `git fsck --strict` reads them. Pure.

In: a tree object's bytes (gitformat-pack). Out: its members in order. Rules: a folder's id is what packages are known
by, so two readers must see the same files in it: a name with a slash, a name twice, another order than Git's or another
way to write a mode is refused, whoever else is content with it.

    for member in members("pkg/", data): member.name, member.mode, member.id
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gitops.errors import Reason, SourceError
from gitops.source.objects.bounds import FILE, LINK, PROGRAM, SUBMODULE

FOLDER = 0o040000
MODES = {b"%o" % mode: mode for mode in (FILE, PROGRAM, LINK, FOLDER, SUBMODULE)}
MAX_TREE = 8 << 20
"""Bytes of one tree object: no folder within the bounds of a fleet repo needs them."""
_MEMBER = re.compile(rb"([0-7]+) ([^\0]*)\0(.{20})", re.DOTALL)
_HINT = "write the tree again with `git add`"


@dataclass(frozen=True)
class Member:
    """One entry of a folder."""

    name: str
    mode: int
    id: str


def members(folder: str, data: bytes) -> Iterator[Member]:
    """What a folder holds. `folder`: its path, with a slash at the end, for messages.

    Raises:
        SourceError: Git would not write it like that.
    """
    at, before, names = 0, b"", set[bytes]()
    while at < len(data):
        found = _MEMBER.match(data, at)
        if not found:
            raise _refusal(folder, "the folder's list is damaged as it was made", Reason.bad_object)
        mode, name, at = found[1], found[2], found.end()
        where = folder + name.decode(errors="backslashreplace")
        if not name or b"/" in name:
            raise _refusal(where, "the name is empty, or holds a slash", Reason.bad_path)
        if mode not in MODES:
            raise _refusal(where, f"mode {mode.decode()} is not allowed", Reason.bad_mode)
        if name in names:
            raise _refusal(where, "is there twice", Reason.bad_object)
        # Git sorts folders as if their names ended with a slash.
        order = name + b"/" * (MODES[mode] == FOLDER)
        if order < before:
            raise _refusal(where, "is not in its place: the folder's list is not sorted", Reason.bad_object)
        before = order
        names.add(name)
        try:
            yield Member(name.decode(), MODES[mode], found[3].hex())
        except UnicodeDecodeError:
            raise SourceError(f"{where}: the name is not UTF-8", hint="rename it", reason=Reason.bad_path) from None


def _refusal(where: str, what: str, reason: Reason) -> SourceError:
    return SourceError(f"{where or 'the top folder'}: {what}", hint=_HINT, reason=reason)
