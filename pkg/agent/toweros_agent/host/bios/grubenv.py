"""GRUB's environment block, which says what is started next: on a machine with a BIOS, what the names are with UEFI.

    # GRUB Environment Block      1,024 bytes, filled up with `#` (GRUB's manual, "Environment block")
    left_9=2                      tries that are left; an entry without is plain: blessed
    order=9 8                     sequences of the entries, the one that is tried first

Rules: all words are in the first 512 bytes, so one sector is written and a power cut leaves the block of before or
this one; it is written in its place, because GRUB finds it by its sectors. A block that is damaged says nothing, and
one that is cut short loses the order before it loses a count. One of another size is read as GRUB reads it.
"""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from toweros_agent.host.disk import sync_folder
from toweros_agent.host.renaming import rename, settle
from toweros_agent.nouns import Entry

SIZE, SECTOR, MAX_SIZE = 1024, 512, 1 << 16
HEAD = b"# GRUB Environment Block\n"
TRIES = 3
MOST = 12
"""Entries. There are three at most; the rest is what the ESP could hold."""
SEQUENCE = re.compile(r"[1-9][0-9]{0,15}|0", re.ASCII)
GOOD = re.compile(r'set good="([0-9 ]{0,400})"\n', re.ASCII)
"""What GRUB reads where the block is damaged: the blessed ones."""


class DamagedError(ValueError):
    """What is there is no environment block of ours."""


def encode(entries: Iterable[Entry]) -> bytes:
    """The block for entries. Raises ValueError when it does not fit into its sector."""
    entries = newest_first(entries)
    lines = [f"left_{each.sequence}={each.left}" for each in entries if each.left is not None]
    lines.append(f"order={' '.join(str(each.sequence) for each in entries)}")
    block = HEAD + "".join(f"{line}\n" for line in lines).encode()
    if len(block) > SECTOR or len(entries) > MOST:
        raise ValueError(f"{len(entries)} boot entries are more than the environment block holds")
    return block.ljust(SIZE, b"#")


def parse(block: bytes) -> list[Entry]:
    """The entries of a block, in order. Raises `DamagedError`."""
    if not block.startswith(HEAD):
        raise DamagedError("the environment block of GRUB is damaged: it has another beginning")
    lines = block.decode("ascii", errors="replace").split("\n")[:-1]
    words = dict(line.partition("=")[::2] for line in lines if not line.startswith("#"))
    sequences = words.get("order", "").split()
    if not 0 < len(sequences) <= MOST or not all(map(SEQUENCE.fullmatch, sequences)):
        raise DamagedError("the environment block of GRUB is damaged: it names no boot entries")
    return [_entry(each, words.get(f"left_{each}", "")) for each in dict.fromkeys(sequences)]


def read(path: Path) -> list[Entry]:
    """The entries of the block at `path`. Raises `DamagedError`; `OSError` when it cannot be read."""
    with path.open("rb") as file:
        return parse(file.read(MAX_SIZE))


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Let the block say this, and read it back. Raises `OSError`: it does not."""
    block = encode(entries)
    if path.is_file() and path.stat().st_size == SIZE:
        handle = os.open(path, os.O_WRONLY)
        try:
            os.pwrite(handle, block[:SECTOR], 0)
        finally:
            os.close(handle)
        settle(path)
    else:  # an empty one, or garbage of another size, has no place to be written in
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        beside = path.with_name("grubenv.new")
        beside.write_bytes(block)
        settle(beside)
        rename(beside, path, check=False)
    with path.open("rb") as file:
        if file.read(SECTOR) != block[:SECTOR]:
            raise OSError(5, "the ESP does not give back what was written", path.name)


def read_good(path: Path) -> list[Entry]:
    """The blessed entries, from where GRUB finds them when the block is damaged; none when that is damaged too."""
    try:
        match = GOOD.fullmatch(path.read_bytes()[:SIZE].decode("ascii", errors="replace"))
    except OSError:
        return []
    words = match[1].split() if match else []
    return [Entry(int(each)) for each in dict.fromkeys(words) if SEQUENCE.fullmatch(each)][:MOST]


def encode_good(entries: Iterable[Entry]) -> bytes:
    """`good.cfg` for the plain ones among these."""
    plain = (str(each.sequence) for each in newest_first(entries) if each.plain)
    return f'set good="{" ".join(plain)}"\n'.encode()


def write_good(path: Path, entries: Sequence[Entry]) -> None:
    """Keep the blessed entries for the day when the block is damaged. Where none is blessed, those of before stay."""
    data = encode_good(entries)
    if not any(each.plain for each in entries) or (path.is_file() and path.read_bytes() == data):
        return
    beside = path.with_name("good.new")
    beside.write_bytes(data)
    settle(beside)
    path.unlink(missing_ok=True)
    sync_folder(path.parent)
    rename(beside, path, check=True)


def newest_first(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda each: each.sequence, reverse=True)


def _entry(sequence: str, left: str) -> Entry:
    if not left:
        return Entry(int(sequence))
    if left not in {str(number) for number in range(TRIES + 1)}:
        raise DamagedError(f"the environment block of GRUB is damaged: {left[:20]!a} tries are left")
    return Entry(int(sequence), int(left), TRIES - int(left))
