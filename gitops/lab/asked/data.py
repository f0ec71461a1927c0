"""What a machine is told about itself, as LinuxKit's `metadata` package reads it: a disc with one file, `config`.

In: bytes. Out: an ISO 9660 image (ECMA-119), the same for the same bytes. Rules: one folder, one file; its name is
CONFIG. there, which Linux shows as `config`.

    disc(b'{"ssh": ...}')
"""

import struct

from gitops.errors import VmError

SECTOR = 2048
LARGEST = 16 << 20
"""Bytes."""
NEVER = b"0" * 16 + b"\0"
"""A date that is not said (8.4.26.1)."""
DATE = bytes((70, 1, 1, 0, 0, 0, 0))
LITTLE, BIG, ROOT, FILE = 18, 19, 20, 21
"""Sectors: the tables of paths, the folder, the file."""


def disc(data: bytes) -> bytes:
    """The image.

    Raises:
        VmError: it is too much.
    """
    if len(data) > LARGEST:
        raise VmError(f"the data have more than {LARGEST >> 20} MiB", hint="put it into an image")
    body = data + bytes(-len(data) % SECTOR)
    folder = _record(ROOT, SECTOR, 2, b"\0") + _record(ROOT, SECTOR, 2, b"\1")
    folder += _record(FILE, len(data), 0, b"CONFIG.;1")
    end = b"\xffCD001\x01"
    sectors = [_volume(FILE + len(body) // SECTOR), end, _paths("<"), _paths(">"), folder]
    return bytes(16 * SECTOR) + b"".join(sector.ljust(SECTOR, b"\0") for sector in sectors) + body


def _volume(sectors: int) -> bytes:
    """The primary descriptor (8.4)."""
    return b"".join(
        (
            b"\1CD001\1\0", b" " * 32, b"CONFIG".ljust(32), bytes(8), _both(sectors), bytes(32),
            _both(1, "H"), _both(1, "H"), _both(SECTOR, "H"), _both(10), struct.pack("<II", LITTLE, 0),
            struct.pack(">II", BIG, 0), _record(ROOT, SECTOR, 2, b"\0"), b" " * (4 * 128 + 3 * 37), NEVER * 4, b"\1\0",
        )
    )  # fmt: skip


def _record(sector: int, size: int, flags: int, name: bytes) -> bytes:
    """A folder's record of a file (9.1)."""
    pad = b"" if len(name) % 2 else b"\0"
    length = 33 + len(name) + len(pad)
    head = bytes((length, 0)) + _both(sector) + _both(size) + DATE + bytes((flags, 0, 0)) + _both(1, "H")
    return head + bytes((len(name),)) + name + pad


def _paths(order: str) -> bytes:
    return struct.pack(f"{order}BBIHBB", 1, 0, ROOT, 1, 0, 0)


def _both(number: int, kind: str = "I") -> bytes:
    """In both orders of bytes (7.2.3, 7.3.3)."""
    return struct.pack(f"<{kind}", number) + struct.pack(f">{kind}", number)
