"""Root, as which tests may run, without its right to read what nobody may read."""

import ctypes
import struct
from collections.abc import Iterator
from contextlib import contextmanager

VERSION = 0x20080522
DAC_OVERRIDE, DAC_READ_SEARCH = 1 << 1, 1 << 2
"""capabilities(7)"""


@contextmanager
def humble() -> Iterator[None]:
    """This thread, and those that it starts, keep to the modes of files; for anybody but root, nothing changes."""
    libc, header = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(struct.pack("Ii", VERSION, 0), 8)
    before = ctypes.create_string_buffer(24)
    if libc.capget(header, before):
        raise OSError(ctypes.get_errno(), "capget")
    effective, *others = struct.unpack("6I", before.raw)
    after = struct.pack("6I", effective & ~(DAC_OVERRIDE | DAC_READ_SEARCH), *others)
    if libc.capset(header, after):
        raise OSError(ctypes.get_errno(), "capset")
    try:
        yield
    finally:
        libc.capset(header, before)
