"""A UKI and its addon taken apart for GRUB, which starts no PE programs: where the kernel and the initrd lie in it.

In: a UKI and an addon that were verified. Out: the text of a grub.cfg that reads both out of the UKI itself, so that
nothing is copied, and that gives the kernel what systemd's stub would: the UKI's arguments, the addon's, and the name
of the entry. Rules: nothing of the files reaches GRUB but numbers and words between single quotes; a word that GRUB
would change on its way is refused, as the initrd compares the line. (Microsoft's PE format; GRUB's manual, "Block list
syntax": counted in sectors.)
"""

import struct
from pathlib import Path
from typing import NamedTuple

from toweros_agent.nouns import Refused

PE_OFFSET, FILE_HEADER, SECTION_HEADER = 0x3C, 24, 40
MOST_SECTIONS = 96
SECTOR = 512
MAX_ADDON = 1 << 20
MAX_LINE = 1900
"""Bytes of all arguments: the kernel takes 2,047, and GRUB puts its own word before them."""
UNSAFE = frozenset("'\"\\")
"""What GRUB writes otherwise than it reads."""
UKI_SECTIONS = (".linux", ".initrd", ".cmdline")


class Section(NamedTuple):
    """Where a section lies in its file: bytes."""

    start: int
    size: int


def sections(path: Path) -> dict[str, Section]:
    """The sections of a PE file by name. Raises `Refused` when it is none, or one lies outside of it."""
    length = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4096)
    try:
        (start,) = struct.unpack_from("<I", head, PE_OFFSET)
        if head[:2] != b"MZ" or head[start : start + 4] != b"PE\0\0":
            raise Refused(f"{path.name} is not a PE program")
        (count,), (size,) = struct.unpack_from("<H", head, start + 6), struct.unpack_from("<H", head, start + 20)
        table = start + FILE_HEADER + size
        if count > MOST_SECTIONS:
            raise Refused(f"{path.name} has {count} sections")
        rows = [struct.unpack_from("<8sIIII", head, table + SECTION_HEADER * index) for index in range(count)]
    except struct.error as error:
        raise Refused(f"{path.name} is cut short") from error
    names = [name.rstrip(b"\0").decode("ascii", errors="replace") for name, *_ in rows]
    if len(set(names)) < len(names):
        raise Refused(f"{path.name} has two sections of one name")
    found = {name: Section(place, min(used, raw)) for name, (_, used, _, raw, place) in zip(names, rows, strict=True)}
    if any(each.start + each.size > length for each in found.values()):
        raise Refused(f"{path.name} is cut short")
    return found


def grub_config(sequence: int, uki: Path, addon: Path) -> bytes:
    """What GRUB does to start an entry; `$entry` is its name, which GRUB sets. Raises `Refused`."""
    parts, beside = sections(uki), sections(addon)
    if missing := [name for name in UKI_SECTIONS if not parts.get(name, Section(0, 0)).size]:
        raise Refused(f"{uki.name} has no {missing[0]}, so GRUB cannot start it")
    if addon.stat().st_size > MAX_ADDON or ".cmdline" not in beside:
        raise Refused(f"{addon.name} is no addon with arguments")
    words = [*_words(uki, parts[".cmdline"]), *_words(addon, beside[".cmdline"])]
    if sum(len(word) + 1 for word in words) > MAX_LINE:
        raise Refused(f"the kernel's arguments have more than {MAX_LINE} bytes")
    quoted = "".join(f" '{word}'" for word in words)
    lines = [
        f"loopback uki /EFI/Linux/toweros-{sequence}.efi",
        f"linux {_blocks(uki, parts['.linux'])}{quoted} toweros.entry=$entry",
        f"initrd {_blocks(uki, parts['.initrd'])}",
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def _words(path: Path, section: Section) -> list[str]:
    if section.size > MAX_LINE + 1:
        raise Refused(f"{path.name}: the kernel's arguments have more than {MAX_LINE} bytes")
    with path.open("rb") as file:
        file.seek(section.start)
        line = file.read(section.size).partition(b"\0")[0].decode("ascii", errors="replace")
    if not line.isprintable() or not line.isascii() or UNSAFE & {*line}:
        raise Refused(f"{path.name}: the kernel's arguments have a quote or a sign that GRUB would change")
    return line.split()


def _blocks(path: Path, section: Section) -> str:
    """GRUB's name of some sectors of the UKI; the zeros behind a section are nothing to a kernel or an initrd."""
    if section.start % SECTOR or not section.start:
        raise Refused(f"{path.name}: a section does not begin with a sector")
    return f"(uki){section.start // SECTOR}+{-(-section.size // SECTOR)}"
