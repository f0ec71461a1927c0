"""What a tree may hold, whoever wrote it. Pure; used by every `Tree`: commits and folders obey the same rules.

In: one file after the other (path, mode, size, the target of a link). Out: nothing, or a `SourceError` that names the
path and the way out. A fleet repo is small text; whatever is larger, deeper or stranger is refused before it is read.
"""

import posixpath

from gitops.errors import Reason, SourceError

MAX_FILES = 20_000
"""Files and folders together."""
MAX_FILE = 8 << 20
"""Bytes of one file."""
MAX_TOTAL = 256 << 20
"""Bytes of all files together."""
MAX_PATH = 1024
"""Bytes of a path."""
MAX_NAME = 255
"""Bytes of one part of a path: what Linux file systems allow."""
MAX_DEPTH = 32
MAX_LINK = 4096
"""Bytes of a link's target."""

_PASSED_OVER = dict.fromkeys([*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF])
"""Letters that HFS+ leaves out of a name when it compares (Git's utf8.c)."""
FILE, PROGRAM, LINK, SUBMODULE = 0o100644, 0o100755, 0o120000, 0o160000


def check_path(path: str) -> None:
    """Refuse a path that is too long or deep, climbs, hides in `.git`, is no UTF-8, or holds control characters."""
    # os.fsdecode makes lone surrogates of bytes that are no UTF-8.
    if any("\ud800" <= letter <= "\udfff" for letter in path):
        raise SourceError(f"{path!a}: the name is not UTF-8", hint="rename it", reason=Reason.bad_path)
    parts = path.split("/")
    if len(path.encode()) > MAX_PATH or len(parts) > MAX_DEPTH or any(len(p.encode()) > MAX_NAME for p in parts):
        raise SourceError(
            f"{path[:80]!r}: the path is too long or too deep",
            hint=f"use at most {MAX_DEPTH} folders, {MAX_NAME} bytes in a name, and {MAX_PATH} in all",
            reason=Reason.bad_path,
        )
    if any(part in ("", ".", "..") or _is_git(part) for part in parts):
        raise SourceError(
            f"{path!r}: no part of a path may be empty, `.`, `..` or `.git`", hint="rename it", reason=Reason.bad_path
        )
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in path):
        raise SourceError(f"{path!r}: the name holds a control character", hint="rename it", reason=Reason.bad_path)


def _is_git(part: str) -> bool:
    """Whether some file system takes a name for `.git` (CVE-2014-9390): in any case, with letters that HFS+ passes
    over, and on NTFS as `git~1`, with dots and spaces at the end, or with a stream's name."""
    plain = part.translate(_PASSED_OVER).lower().partition(":")[0].rstrip(" .")
    return plain in (".git", "git~1")


def check_link(path: str, target: bytes) -> None:
    """Refuse a symbolic link that points outside of the tree."""
    try:
        text = target.decode()
    except UnicodeDecodeError:
        raise SourceError(
            f"{path}: the link's target is not UTF-8", hint="rename the target", reason=Reason.leaving_link
        ) from None
    # By text alone: what else is in the tree may be a link, too, and is checked by itself.
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(path), text))
    if not text or "\0" in text or text.startswith("/") or inside == ".." or inside.startswith("../"):
        raise SourceError(
            f"{path}: the link leaves the repository",
            hint="make such a link in the Dockerfile, by RUN ln -s",
            reason=Reason.leaving_link,
        )


class Bounds:
    """Counts what was seen so far and refuses what is too much."""

    def __init__(self) -> None:
        self.files = 0
        self.total = 0

    def enter(self, path: str) -> None:
        """Count a folder: a few bytes of Git can say millions of them."""
        check_path(path)
        self._count()

    def _count(self) -> None:
        self.files += 1
        if self.files > MAX_FILES:
            raise SourceError(
                f"more than {MAX_FILES} files", hint="split the repo, or ignore what was built", reason=Reason.too_many
            )

    def add(self, path: str, mode: int, size: int) -> None:
        """Count a file.

        Raises:
            SourceError: a bound is passed, or it is no plain file, program or link.
        """
        check_path(path)
        if mode == SUBMODULE:
            raise SourceError(
                f"{path}: submodules are not followed", hint="copy the folder here", reason=Reason.submodule
            )
        if mode not in (FILE, PROGRAM, LINK):
            raise SourceError(
                f"{path}: mode {mode:o} is not allowed", hint="use 644, 755 or a symbolic link", reason=Reason.bad_mode
            )
        self._count()
        if size > (MAX_LINK if mode == LINK else MAX_FILE):
            hint = f"a file has at most {MAX_FILE >> 20} MiB"
            raise SourceError(f"{path}: {size} bytes are too many", hint=hint, reason=Reason.too_large)
        self.total += size
        if self.total > MAX_TOTAL:
            raise SourceError(
                f"more than {MAX_TOTAL >> 20} MiB of files",
                hint="name large inputs in packages.in instead",
                reason=Reason.too_large,
            )
