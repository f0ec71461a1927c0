"""A program of the firmware that is as small as they get."""

import struct


def a_pe_file(code: bytes = b"") -> bytes:
    """A small PE32+ program that sbsign takes: headers, with room for more sections, and one section of `code`."""
    head = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0"
    coff = struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x22)
    optional = struct.pack("<HBBIIIIIQIIHHHHHHIIIIHHQQQQII", 0x20B, 0, 0, 512, 0, 0, 0x1000, 0x1000, 0x400000, 0x1000,
                           512, 0, 0, 0, 0, 0, 0, 0, 0x2000, 1024, 0, 10, 0, 0, 0, 0, 0, 0, 16)  # fmt: skip
    optional += bytes(128)
    section = struct.pack("<8sIIIIIIHHI", b".text", 512, 0x1000, 512, 1024, 0, 0, 0, 0, 0x60000020)
    return (head + coff + optional + section).ljust(1024, b"\0") + code.ljust(512, b"\xc3")
