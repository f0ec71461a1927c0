"""What an EROFS image holds, by our own reading (Linux, Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h).

In: an image as mkfs.erofs makes ours: not compressed, one device. Out: its inodes by path. Rules: whatever is not
understood is an error, never a guess; so is an image that leads in a circle, or goes on behind its end.

    with Image(Path("layer.erofs")) as image:
        nodes = image.nodes()
        image.pieces(nodes["usr/bin/a"])
"""

import mmap
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gitops.errors import AssembleError

SUPERBLOCK, MAGIC = 1024, 0xE0F5E1E2
PLAIN, INLINE = 0, 2
"""Layouts of data: in blocks; in blocks, but the last piece behind the inode."""
SLOT = 32
"""Bytes by which inodes are numbered."""
PREFIXES = {1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default", 4: "trusted.", 6: "security."}
PIECE = 1 << 20
MAX_WALKED = 512 << 20
NODE = 256
"""Bytes of folders, paths and inodes (each so many) of one image that are looked at."""


@dataclass(frozen=True)
class Node:
    """One inode. `tail` is where the data behind the inode begins (INLINE); `raw` is a block, or a device's number."""

    number: int
    kind: int
    mode: int
    uid: int
    gid: int
    size: int
    layout: int
    raw: int
    tail: int
    xattrs: dict[str, bytes]


class Image:
    """An open image."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> "Image":
        with self._file.open("rb") as stream:
            self._data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        magic, _, _, bits, _, self._root = self._at("<IIIBBH", SUPERBLOCK)
        if magic != MAGIC:
            raise AssembleError(f"{self._file.name} is no EROFS image")
        self._block = 1 << bits
        self._meta, self._shared = (start * self._block for start in self._at("<II", SUPERBLOCK + 40))
        return self

    def __exit__(self, *_: object) -> None:
        self._data.close()

    def nodes(self) -> dict[str, Node]:
        """Every inode by its path; `` is the root.

        Raises:
            AssembleError: the image is not of our kind.
        """
        try:
            return self._walk()
        except (struct.error, ValueError, LookupError, OverflowError) as error:
            raise AssembleError(f"{self._file.name} cannot be read: {error}") from error

    def pieces(self, node: Node) -> Iterator[bytes]:
        """The data of a file, a folder or a link."""
        blocks = node.size if node.layout == PLAIN else node.size // self._block * self._block
        start = node.raw * self._block
        if max(start + blocks if blocks else 0, node.tail + node.size - blocks) > len(self._data):
            raise AssembleError(f"{self._file.name}: inode {node.number} goes on behind the image's end")
        for offset in range(0, blocks, PIECE):
            yield self._data[start + offset : start + min(blocks, offset + PIECE)]
        if blocks < node.size:
            yield self._data[node.tail : node.tail + node.size - blocks]

    def _walk(self) -> dict[str, Node]:
        found = {"": self._node(self._root)}
        todo, walked = [""], 0
        while todo:
            folder = todo.pop()
            walked += found[folder].size
            for name, number in self._names(found[folder]):
                path = f"{folder}/{name}".lstrip("/")
                walked += NODE + len(path)
                if walked > MAX_WALKED:
                    raise AssembleError(f"{self._file.name} holds too much, or leads in a circle")
                found[path] = self._node(number)
                if found[path].kind == stat.S_IFDIR:
                    todo.append(path)
        return found

    def _names(self, folder: Node) -> Iterator[tuple[str, int]]:
        data = b"".join(self.pieces(folder))
        for start in range(0, len(data), self._block):
            block = data[start : start + self._block]
            rows = [
                struct.unpack_from("<QHBB", block, at) for at in range(0, struct.unpack_from("<H", block, 8)[0], 12)
            ]
            ends = [row[1] for row in rows[1:]] + [len(block)]
            for (number, begin, _, _), end in zip(rows, ends, strict=True):
                name = block[begin:end].partition(b"\0")[0].decode(errors="surrogateescape")
                if name not in (".", ".."):
                    yield name, number

    def _node(self, number: int) -> Node:
        at = self._meta + number * SLOT
        form, count, mode = self._at("<HHH", at)
        if form & 1:
            size, raw, _, uid, gid = self._at("<QIIII", at + 8)
        else:
            size, _, raw, _, uid, gid = self._at("<IIIIHH", at + 8)
        layout = form >> 1 & 7
        if layout not in (PLAIN, INLINE):
            raise AssembleError(f"{self._file.name}: inode {number} has data of layout {layout}")
        behind = at + (64 if form & 1 else 32)
        room = 12 + 4 * (count - 1) if count else 0
        xattrs = self._xattrs(behind, room) if room else {}
        return Node(number, stat.S_IFMT(mode), stat.S_IMODE(mode), uid, gid, size, layout, raw, behind + room, xattrs)

    def _xattrs(self, at: int, room: int) -> dict[str, bytes]:
        shared = self._at("<IB", at)[1]
        places = [self._shared + 4 * number for number in self._at(f"<{shared}I", at + 12)]
        found = dict(self._xattr(place)[0] for place in places)
        place = at + 12 + 4 * shared
        while place + 4 <= at + room:
            pair, size = self._xattr(place)
            found[pair[0]] = pair[1]
            place += -(-size // 4) * 4
        return found

    def _xattr(self, at: int) -> tuple[tuple[str, bytes], int]:
        length, prefix, size = self._at("<BBH", at)
        name = self._data[at + 4 : at + 4 + length].decode(errors="surrogateescape")
        value = self._data[at + 4 + length : at + 4 + length + size]
        return (PREFIXES[prefix] + name, value), 4 + length + size

    def _at(self, form: str, offset: int) -> tuple[int, ...]:
        return struct.unpack_from(form, self._data, offset)
