"""Sections of a PE image, appended and read (Microsoft's PE format specification; UAPI group's UKI specification).

In: systemd's stub, and sections by name. Out: the stub with them. Rules: nothing else of it changes, the checksum is
zero (the signer fills it in), and the same input gives the same bytes. Signed stubs are refused: the signature would
no longer hold.

    add_sections(stub, [Section(".cmdline", b"quiet")])
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from gitops.errors import AssembleError
from gitops.model import sha256

PE_OFFSET = 0x3C
FILE_HEADER = 24
SECTION_HEADER = 40
READ_ONLY_DATA = 0x40000040
"""CNT_INITIALIZED_DATA and MEM_READ."""
PE32_PLUS = 0x20B
SIGNATURES = 4
"""The index of the certificate table among the data directories."""


@dataclass(frozen=True)
class Section:
    name: str
    data: bytes


@dataclass(frozen=True)
class _Headers:
    """Where things are: offsets from the start of the file."""

    start: int
    optional: int
    table: int
    count: int
    section_alignment: int
    file_alignment: int
    end: int


def add_sections(stub: bytes, sections: Sequence[Section]) -> bytes:
    """The image with sections appended, in this order.

    Raises:
        AssembleError: this is no PE32+ image, is signed, or has no room for another section's header.
    """
    try:
        headers = _parse(stub)
        return _append(bytearray(stub), headers, sections)
    except struct.error as error:
        raise AssembleError("the boot stub is cut short") from error


def sections(image: bytes) -> dict[str, bytes]:
    """What is in an image, signed or not, by section name, without padding.

    Raises:
        AssembleError: this is no PE image, or is cut short.
    """
    try:
        (start,) = struct.unpack_from("<I", image, PE_OFFSET)
        if image[:2] != b"MZ" or image[start : start + 4] != b"PE\0\0":
            raise AssembleError("this is not a PE image")
        # NumberOfSections and SizeOfOptionalHeader of the file header.
        count, size = struct.unpack_from("<H", image, start + 6)[0], struct.unpack_from("<H", image, start + 20)[0]
        table = start + FILE_HEADER + size
        rows = [struct.unpack_from("<8sIIII", image, table + SECTION_HEADER * index) for index in range(count)]
    except struct.error as error:
        raise AssembleError("the image is cut short") from error
    return {
        name.rstrip(b"\0").decode(errors="replace"): image[place : place + min(length, raw)]
        for name, length, _address, raw, place in rows
    }


def signed_digest(image: bytes) -> str:
    """The SHA-256 of all that a Secure Boot signature covers: the same with a signature and without, whenever it was
    made ("Calculating the PE Image Hash" in Microsoft's Authenticode specification).

    Raises:
        AssembleError: this is no PE32+ image, or is cut short.
    """
    try:
        (start,) = struct.unpack_from("<I", image, PE_OFFSET)
        optional = start + FILE_HEADER
        checksum, table = optional + 64, optional + 112 + 8 * SIGNATURES
        (magic,), (place, size) = struct.unpack_from("<H", image, optional), struct.unpack_from("<II", image, table)
    except struct.error as error:
        raise AssembleError("the image is cut short") from error
    if magic != PE32_PLUS or (place and place + size != len(image)):
        raise AssembleError("this is not a PE32+ image with its signatures at the end")
    body = image[table + 8 : place or len(image)]
    covered = image[:checksum] + image[checksum + 4 : table] + body
    # A signer fills a file up to a multiple of 8 before it appends.
    return sha256(covered + bytes(-(place or len(image)) % 8))


def _parse(stub: bytes) -> _Headers:
    (start,) = struct.unpack_from("<I", stub, PE_OFFSET)
    optional = start + FILE_HEADER
    (magic,) = struct.unpack_from("<H", stub, optional)
    if stub[:2] != b"MZ" or stub[start : start + 4] != b"PE\0\0" or magic != PE32_PLUS:
        raise AssembleError("the boot stub is not a PE32+ image")
    count, size = struct.unpack_from("<H", stub, start + 6)[0], struct.unpack_from("<H", stub, start + 20)[0]
    # Offsets in the optional header of PE32+: SectionAlignment 32, SizeOfHeaders 60, data directories from 112.
    section_alignment, file_alignment = struct.unpack_from("<II", stub, optional + 32)
    (end,) = struct.unpack_from("<I", stub, optional + 60)
    if struct.unpack_from("<II", stub, optional + 112 + 8 * SIGNATURES) != (0, 0):
        raise AssembleError("the boot stub is signed already", hint="the bootloader package holds unsigned files")
    return _Headers(start, optional, optional + size, count, section_alignment, file_alignment, end)


def _append(image: bytearray, headers: _Headers, sections: Sequence[Section]) -> bytes:
    # The table cannot grow beyond the headers: the first section's data follows.
    if headers.table + SECTION_HEADER * (headers.count + len(sections)) > headers.end:
        raise AssembleError(f"the boot stub has no room for {len(sections)} more sections")
    last = headers.table + SECTION_HEADER * (headers.count - 1)
    # VirtualSize and VirtualAddress; sections lie in memory one after the other.
    size, address = struct.unpack_from("<II", image, last + 8)
    added = 0
    for index, section in enumerate(sections):
        address = _up(address + size, headers.section_alignment)
        image += bytes(_up(len(image), headers.file_alignment) - len(image))
        size, raw, place = len(section.data), _up(len(section.data), headers.file_alignment), len(image)
        numbers = (size, address, raw, place, 0, 0, 0, 0, READ_ONLY_DATA)
        entry = headers.table + SECTION_HEADER * (headers.count + index)
        struct.pack_into("<8sIIIIIIHHI", image, entry, section.name.encode(), *numbers)
        image += section.data + bytes(raw - size)
        added += raw
    struct.pack_into("<H", image, headers.start + 6, headers.count + len(sections))
    # SizeOfInitializedData 8, SizeOfImage 56 (SizeOfHeaders after it stays), CheckSum 64.
    (initialized,) = struct.unpack_from("<I", image, headers.optional + 8)
    struct.pack_into("<I", image, headers.optional + 8, initialized + added)
    struct.pack_into("<II", image, headers.optional + 56, _up(address + size, headers.section_alignment), headers.end)
    struct.pack_into("<I", image, headers.optional + 64, 0)
    return bytes(image)


def _up(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment
