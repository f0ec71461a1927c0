"""The processor's microcode before the initrd: an archive that the kernel reads before it unpacks anything.

In: the file of a kernel image that a spec names in `kernel: {ucode: ...}`. Out: its bytes, filled up so that the initrd
follows where the kernel expects it. Rules: one uncompressed newc archive with nothing in it but microcode, because
whatever else lay in it would be unpacked into the initrd, before the initrd's own files (kernel docs,
arch/x86/microcode, "Early load microcode"; driver-api/early-userspace/buffer-format).

    early(data, "intel-ucode.cpio") + initrd
"""

import re

from gitops.assemble.boot.cpio import ALIGNMENT, MAGIC, TRAILER
from gitops.errors import AssembleError

NAMES = re.compile(r"(kernel(/x86(/microcode)?)?|\.)/?|kernel/x86/microcode/(GenuineIntel|AuthenticAMD)\.bin")
HEADER, SIZE, NAME_SIZE = 110, 54, 94
"""Bytes of an entry's head, and where in it the sizes of data and name stand, in 8 hex digits each."""
LARGEST = 64 << 20


def early(data: bytes, name: str) -> bytes:
    """What goes before an initrd.

    Raises:
        AssembleError: it is not such an archive.
    """
    try:
        for path in _names(data[:LARGEST]):
            if not NAMES.fullmatch(path):
                raise AssembleError(f"{name} holds {path!r}", hint="microcode is kernel/x86/microcode/*.bin, and alone")
    except ValueError as error:
        hint = "it is an uncompressed cpio archive (newc), as pkg/kernel-full makes it"
        raise AssembleError(f"{name} is no microcode: {error}", hint=hint) from error
    return data + bytes(-len(data) % ALIGNMENT)


def _names(data: bytes) -> list[str]:
    """What is in an archive, up to its end. Raises ValueError where it is none."""
    names, at = list[str](), 0
    while True:
        head = data[at : at + HEADER]
        if not head.startswith(MAGIC.encode()) or len(head) < HEADER:
            raise ValueError(f"byte {at} begins no entry")
        size, length = (int.from_bytes(bytes.fromhex(head[place : place + 8].decode())) for place in (SIZE, NAME_SIZE))
        name = data[at + HEADER : at + HEADER + length].rstrip(b"\0").decode()
        if name == TRAILER:
            if data[at + HEADER + length :].strip(b"\0"):
                raise ValueError("something stands behind its end")
            return names
        names.append(name)
        at = _aligned(_aligned(at + HEADER + length) + size)


def _aligned(place: int) -> int:
    return place + -place % ALIGNMENT
