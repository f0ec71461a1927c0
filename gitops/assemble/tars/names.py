"""Paths in a layer: of members as they are written, and where the links on their way lead.

In: a member's name, or a hard link's target. Out: the path below the root without `.`, `..` and doubled slashes, or an
error. Rules: as container engines clean names (Go's path.Clean): `/a` is `a`, `a/../b` is `b`; what leaves the root
is refused, and so is what no file system takes.

    clean("layer.tar", "./usr//bin/")  ->  "usr/bin"
"""

import os

from gitops.errors import AssembleError

WHITEOUT = ".wh."
PATH_MAX, NAME_MAX = 4096, 255
"""Bytes of a path and of one name in it (limits.h); a path's end counts."""


def clean(layer: str, name: str) -> str:
    """The path of a member's name; `` is the root.

    Raises:
        AssembleError: it leaves the root, is too long, or has a NUL in it.
    """
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not parts:
                raise AssembleError(f"{layer}: the path {name!r} leaves the layer")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    path = "/".join(parts)
    if "\0" in name:
        raise AssembleError(f"{layer}: the path {name!r} has a NUL in it and leaves the layer")
    names = [part.removeprefix(WHITEOUT) for part in parts]  # what a whiteout hides may have all of them
    if len(os.fsencode(path)) >= PATH_MAX or any(len(os.fsencode(part)) > NAME_MAX for part in names):
        raise AssembleError(f"{layer}: the path {name[:60]!r}... is longer than Linux takes")
    return path


def parent(path: str) -> str:
    return path.rpartition("/")[0]


def base(path: str) -> str:
    return path.rpartition("/")[2]


def beside(path: str, name: str) -> str:
    """The path of `name` in the folder that `path` is in."""
    return f"{parent(path)}/{name}".lstrip("/")


def order(path: str) -> list[str]:
    """For sorting: a folder directly before what is in it."""
    return path.split("/")
