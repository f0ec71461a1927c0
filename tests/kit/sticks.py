"""Sticks as people make them: an image with a file system and a bundle, put where a box sees what is plugged in.

image = stick(folder, tmp_path / "stick.img", "vfat")
plug_in(box, image, "sdb")          # and pull_out(box, "sdb")
"""

import itertools
import os
import struct
import subprocess
from pathlib import Path

from tests.simulators.box import Box

MIB = 1 << 20
_count = itertools.count(1)


def stick(folder: Path, image: Path, kind: str = "vfat", mib: int = 64) -> Path:
    """An image of a file system, with all that is in `folder`. `mbr`: in the first partition of a stick, as vfat."""
    image.unlink(missing_ok=True)
    if kind == "ext4":
        _run("mkfs.ext4", "-q", "-L", "TOWEROS-BUNDLE", "-d", folder, image, f"{mib}M")
        return image
    start = MIB if kind == "mbr" else 0
    with image.open("wb") as stream:
        stream.truncate(mib * MIB + start)
        if start:
            stream.seek(446)
            stream.write(struct.pack("<B3xB3xII", 0, 0x0C, start // 512, mib * MIB // 512) + bytes(48) + b"\x55\xaa")
    wide = ["-F", "32", "-s", "1"] if mib >= 64 else []
    _run("mkfs.vfat", *wide, "-n", "TOWEROS", f"--offset={start // 512}", image, (mib * MIB) // 1024)
    _run("mcopy", "-s", "-i", f"{image}@@{start}", *sorted(folder.iterdir()), "::/")
    return image


def plug_in(box: Box, image: Path, name: str = "sdb") -> Path:
    """The node that the host makes (pkg/init, `sticks`): here, a link to the image's own file."""
    place = box.run / "sticks"
    place.mkdir(exist_ok=True)
    pull_out(box, name)
    node = place / f"{name}.{next(_count)}"
    os.link(image, node)
    return node


def pull_out(box: Box, name: str = "sdb") -> None:
    for node in (box.run / "sticks").glob(f"{name}.*"):
        node.unlink()


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True, timeout=60)


def behind_the_end(image: Path, ending: bytes, size: int) -> int:
    """Files of a vfat with such an ending (b"ZST") are `size` bytes in a cluster that the device has no more.
    Returns how many."""
    data = bytearray(image.read_bytes())
    sector, per, reserved, tables, rooted = struct.unpack("<HBHBH", data[11:19])
    total, short = struct.unpack("<H", data[19:21])[0], struct.unpack("<H", data[22:24])[0]
    heap = (reserved + tables * short) * sector + rooted * 32
    count = ((total or struct.unpack("<I", data[32:36])[0]) * sector - heap) // (per * sector)
    changed = 0
    for at in range(0, len(data) - per * sector, 32):
        if data[at + 8 : at + 11] == ending and data[at + 11] == 0x20 and data[at] not in (0, 0xE5):
            data[at + 20 : at + 22] = bytes(2)
            data[at + 26 : at + 32] = struct.pack("<HI", count + 1, size)
            changed += 1
    image.write_bytes(data[: heap + (count - 1) * per * sector])
    return changed
