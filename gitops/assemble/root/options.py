"""Options of mounts that runc or the kernel does not know: `binds`, `tmpfs`, `mounts`. Pure.

In: a kind and its options. Out: those that are none. Rules: of a bind, runc (1.1, libcontainer/specconv) hands what it
does not know to the kernel, which passes it over: `readonly` would bind a folder that can be written. A tmpfs with one
is not mounted (tmpfs(5)). Other file systems have their own, which are not judged.

    unknown("bind", ["rbind", "readonly"])     # ["readonly"]
"""

import re
from collections.abc import Iterable

_FLAGS = "atime dev diratime exec relatime strictatime suid symfollow".split()  # noqa: SIM905 - a list of words
_PAIRS = {"ro", "rw", "bind", "remount", "defaults", "sync", "async", "dirsync", "mand", "iversion", "lazytime"}
_MORE = {"nomand", "noiversion", "nolazytime", "loud", "silent", "acl", "noacl", "tmpcopyup"}
_SPREAD = {"private", "shared", "slave", "unbindable"}
_ONE = {*_FLAGS, *(f"no{word}" for word in _FLAGS), "ro", "rw"}
KNOWN = {*_ONE, *(f"r{word}" for word in _ONE), *_PAIRS, *_MORE, "rbind", *_SPREAD, *(f"r{word}" for word in _SPREAD)}
_SIZE, _NUMBER = "[0-9]+[kKmMgGtTpPeE%]?", "[0-9]+"
_OF_TMPFS = (
    *(
        f"(size|nr_blocks|nr_inodes)={_SIZE}",
        "mode=[0-7]+",
        f"(uid|gid)={_NUMBER}",
        "huge=(never|always|within_size|advise)",
    ),
    *("mpol=.+", "inode(32|64)", "noswap"),
)
TMPFS = re.compile("|".join(_OF_TMPFS))


def unknown(kind: str, options: Iterable[str]) -> list[str]:
    """In their order."""
    if kind not in ("bind", "tmpfs"):
        return []
    return [each for each in options if each not in KNOWN and not (kind == "tmpfs" and TMPFS.fullmatch(each))]
