"""What becomes of an ISO that is written to a disk.

second = written(iso, folder / "disk.raw")          # as dd, fdisk and mkfs.ext4 leave it
"""

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

MIB, SECTOR = 1 << 20, 512
ROWS, ROW = 446, 16
"""The table of an MBR: where it is, and bytes of one of its four rows."""


def table(image: Path) -> dict[int, tuple[int, int, int, int]]:
    """The partitions of an MBR: number -> flag, type, first sector, sectors."""
    with image.open("rb") as stream:
        sector = stream.read(SECTOR)
    assert sector[-2:] == b"\x55\xaa"
    rows = {number: sector[ROWS + ROW * (number - 1) : ROWS + ROW * number] for number in range(1, 5)}
    return {number: struct.unpack("<B3xB3xII", row) for number, row in rows.items() if any(row)}


def written(iso: Path, disk: Path, mib: int = 64) -> int:
    """`dd if=ISO of=DISK`, a second partition behind it, `mkfs.ext4` on that. Returns its first byte."""
    shutil.copyfile(iso, disk)
    start = -(-disk.stat().st_size // MIB) * MIB
    with disk.open("r+b") as stream:
        stream.truncate(start + (mib + 1) * MIB)
        stream.seek(ROWS + ROW)
        stream.write(struct.pack("<B3xB3xII", 0, 0x83, start // SECTOR, mib * MIB // SECTOR))
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-E", f"offset={start}", disk, f"{mib}m"], check=True)
    return start


def new_stick(image: Path) -> Path:
    """Where a machine keeps its key whose disk is its memory: without it, it is Unknown."""
    subprocess.run(["mkfs.fat", "-n", "TOWEROS-KEY", "-C", image, "4096"], check=True, capture_output=True)
    return image


def plugged_in(stick: Path) -> list[str]:
    """As QEMU's command line has it."""
    return ["-drive", f"if=none,id=stick,format=raw,file={stick}", "-device", "virtio-blk-pci,drive=stick"]


def flip(image: Path, content: Path) -> None:
    """Flip one byte in the middle of a file that is in an image as it is."""
    with image.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as bytes_:
        place = bytes_.find(content.read_bytes())
        assert place > 0
        bytes_[place + content.stat().st_size // 2] ^= 1
