"""Extended attributes of a tar's members: which of them a box's file can have.

In: a member's pax headers and its kind. Out: the attributes, and the names of those that are left out. Rules (xattr(7);
Linux, fs/xattr.c, security/commoncap.c, fs/posix_acl.c):

- what engines pass over is left out: names that no file system of Linux takes (macOS writes `com.apple.provenance`),
  `user.` and access lists where they cannot be; so is what would steer the box's overlay;
- what no engine can set is refused: damaged file capabilities and access lists, which would make the file unreadable;
- what mkfs.erofs cannot write is refused by its number, before it says nothing but "Input/output error".

    attributes({"SCHILY.xattr.user.a": "1"}, stat.S_IFREG)  ->  ({"user.a": b"1"}, [])
"""

import stat
import struct
from collections.abc import Mapping

XATTR = "SCHILY.xattr."
STEERING = ("trusted.overlay.", "user.overlay.")
SPACES = ("user.", "trusted.", "security.")
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
CAPABILITY = "security.capability"
CAPABILITIES = {2: 20, 3: 24}
"""Bytes by the revision, which is the last of the first four (linux/capability.h, VFS_CAP_REVISION)."""
TAGS = (0x01, 0x02, 0x04, 0x08, 0x10, 0x20)
"""Whom an entry of an access list is for (linux/posix_acl.h)."""
NAME_MAX = 255
"""Bytes of a name (XATTR_NAME_MAX)."""
MAX_TOGETHER, EACH = 32000, 8
"""Bytes of one file's attributes, and of each beside its name and value: mkfs.erofs 1.8.6 fails at 32 KiB."""


def attributes(headers: Mapping[str, str], kind: int) -> tuple[dict[str, bytes], list[str]]:
    """Attributes by name, and the names that are left out.

    Raises:
        ValueError: one that no file can have; the message goes on after the file's path.
    """
    found = {
        key.removeprefix(XATTR): value.encode(errors="surrogateescape")
        for key, value in headers.items()
        if key.startswith(XATTR)
    }
    kept = {name: value for name, value in found.items() if _has(name, kind)}
    for name, value in kept.items():
        if why := _wrong(name, value):
            raise ValueError(f"has the attribute {name[:60]!r} {why}")
    whole = sum(len(name.encode()) + len(value) + EACH for name, value in kept.items())
    if whole > MAX_TOGETHER:
        raise ValueError(f"has attributes of {whole} bytes, and a layer's file can have {MAX_TOGETHER}")
    return kept, [name for name in found if name not in kept]


def _has(name: str, kind: int) -> bool:
    """Whether a file of this kind can have it on a box."""
    if name.startswith(STEERING):
        return False
    if name == DEFAULT or name.startswith("user."):
        return kind == stat.S_IFDIR or (kind == stat.S_IFREG and name != DEFAULT)
    return kind != stat.S_IFLNK if name == ACCESS else name.startswith(SPACES)


def _wrong(name: str, value: bytes) -> str:
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "whose name is no UTF-8"
    if length > NAME_MAX or "\0" in name or name in SPACES:
        return "whose name no file can have"
    if name == CAPABILITY and CAPABILITIES.get(int.from_bytes(value[3:4])) != len(value):
        return "that is no capability of a file"
    if name in (ACCESS, DEFAULT) and not _is_list(value):
        return "that is no access list"
    return ""


def _is_list(value: bytes) -> bool:
    """A version, then entries of eight bytes (linux/posix_acl_xattr.h)."""
    whole = len(value) > 4 and len(value) % 8 == 4 and value[:4] == b"\2\0\0\0"
    return whole and all(tag in TAGS for tag, _, _ in struct.iter_unpack("<HHI", value[4:]))
