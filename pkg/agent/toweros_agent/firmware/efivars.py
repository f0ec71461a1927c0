"""The firmware's boot entries: systemd-boot first, the last good UKI itself second.

systemd-boot waits for a key for ever when the firmware refuses a UKI; the firmware then goes on with the next entry of
BootOrder, so that one must name a UKI that runs. Formats: UEFI 2.10, 3.1.3 (load options), 10.3.4.4 and 10.3.5.1
(device paths). Variables are written only when they change, because they live in flash.
"""

import contextlib
import fcntl
import os
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
ATTRIBUTES = 7
"""Non-volatile, for boot services and for the running system."""
ACTIVE = 1
LOADER_NAME, LOADER_PATH = "TowerOS", r"\EFI\BOOT\BOOTX64.EFI"
FALLBACK_NAME = "TowerOS fallback"
JUST_MADE = "esp.partition"
"""Beside the mounted ESP: its id, where the initrd made it in this boot."""
GET_FLAGS, SET_FLAGS, IMMUTABLE = 0x80086601, 0x40086602, 0x10


@dataclass(frozen=True)
class Partition:
    """The ESP as a device path names it: number, first block and blocks (logical), GUID."""

    number: int
    start: int
    blocks: int
    guid: uuid.UUID


def load_option(name: str, partition: Partition, path: str) -> bytes:
    """EFI_LOAD_OPTION for a file on `partition`."""
    text = (path + "\0").encode("utf-16-le")
    drive = struct.pack("<IQQ16sBB", partition.number, partition.start, partition.blocks, partition.guid.bytes_le, 2, 2)
    nodes = struct.pack("<BBH", 4, 1, 4 + len(drive)) + drive
    nodes += struct.pack("<BBH", 4, 4, 4 + len(text)) + text
    nodes += struct.pack("<BBH", 0x7F, 0xFF, 4)
    return struct.pack("<IH", ACTIVE, len(nodes)) + (name + "\0").encode("utf-16-le") + nodes


def option_name(option: bytes) -> str:
    text = option[6:].decode("utf-16-le", errors="replace")
    return text.split("\0", 1)[0]


class Variables:
    """The variables in `folder` (efivarfs)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, name: str, vendor: str = GLOBAL) -> bytes | None:
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / f"{name}-{vendor}").read_bytes()[4:]
        return None

    def set(self, name: str, value: bytes) -> None:
        """Write when it differs. efivarfs wants attributes and value in one write; its files are immutable."""
        if self.get(name) == value:
            return
        self.write(name, GLOBAL, ATTRIBUTES, value)

    def write(self, name: str, vendor: str, attributes: int, value: bytes) -> None:
        """Hand it to the firmware. Raises `OSError` when that does not take it."""
        path = self.folder / f"{name}-{vendor}"
        if path.exists():
            _make_mutable(path)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.write(handle, struct.pack("<I", attributes) + value)
        finally:
            os.close(handle)

    def delete(self, name: str, vendor: str) -> None:
        """Remove a variable. Raises `OSError`."""
        path = self.folder / f"{name}-{vendor}"
        _make_mutable(path)
        path.unlink()

    def options(self) -> dict[int, bytes]:
        """Every Boot#### there is."""
        names = [path.name for path in self.folder.glob(f"Boot????-{GLOBAL}")]
        numbers = [name[4:8] for name in names if all(digit in "0123456789ABCDEF" for digit in name[4:8])]
        return {int(number, 16): self.get(f"Boot{number}") or b"" for number in numbers}

    def order(self) -> list[int]:
        value = self.get("BootOrder") or b""
        return [number for (number,) in struct.iter_unpack("<H", value[: len(value) & ~1])]

    def keep(self, wanted: Sequence[tuple[str, bytes]]) -> None:
        """Make these options exist, and come first in BootOrder in this order."""
        options, first = self.options(), []
        for name, option in wanted:
            same = [number for number, existing in sorted(options.items()) if option_name(existing) == name]
            number = same[0] if same else next(free for free in range(1, 0xFFFF) if free not in options)
            options[number] = option
            self.set(f"Boot{number:04X}", option)
            first.append(number)
        rest = [number for number in self.order() if number not in first and number in options]
        self.set("BootOrder", b"".join(struct.pack("<H", number) for number in [*first, *rest]))


def partition_of(mount: Path, sys: Path, variables: Variables) -> Partition:
    """The partition that is mounted at `mount`: numbers from sysfs, GUID from what systemd-boot or the stub left, or
    from the initrd, where it has just made this disk: the firmware had started a medium then, or the network.

    Raises:
        OSError: it cannot be found out here.
    """
    device = mount.stat().st_dev
    folder = (sys / "dev" / "block" / f"{os.major(device)}:{os.minor(device)}").resolve()
    number, start, size = (int((folder / name).read_text()) for name in ("partition", "start", "size"))
    sector = int((folder.parent / "queue" / "logical_block_size").read_text()) // 512
    guid = _just_made(mount.with_name(JUST_MADE))
    if guid is None:
        text = variables.get("LoaderDevicePartUUID", LOADER) or variables.get("StubDevicePartUUID", LOADER)
        if text is None:
            raise FileNotFoundError("LoaderDevicePartUUID is not set")
        guid = uuid.UUID(text.decode("utf-16-le").rstrip("\0"))
    return Partition(number, start // sector, size // sector, guid)


def _just_made(path: Path) -> uuid.UUID | None:
    """As a partition table has it (UEFI 2.10, appendix A)."""
    with contextlib.suppress(OSError, ValueError):
        return uuid.UUID(bytes_le=bytes.fromhex(path.read_text("ascii")))
    return None


def start_once(variables: Variables, partition: Partition, name: str, path: str) -> None:
    """Let the firmware start the program at `path` next time, and forget that before it does (UEFI 2.10, 3.1.3).

    Raises:
        OSError: it does not take that.
    """
    options = variables.options()
    same = [number for number, option in sorted(options.items()) if option_name(option) == name]
    number = same[0] if same else next(free for free in range(1, 0xFFFF) if free not in options)
    variables.set(f"Boot{number:04X}", load_option(name, partition, path))
    variables.write("BootNext", GLOBAL, ATTRIBUTES, struct.pack("<H", number))


def forget_option(variables: Variables, name: str) -> None:
    """Remove a boot option of that name. Raises `OSError`."""
    for number, option in variables.options().items():
        if option_name(option) == name:
            variables.delete(f"Boot{number:04X}", GLOBAL)


def keep_fallback(variables: Variables, partition: Partition, entry_name: str) -> None:
    """systemd-boot first, then the UKI `entry_name` itself. Raises `OSError`."""
    path = rf"\EFI\Linux\{entry_name}"
    options = [(LOADER_NAME, LOADER_PATH), (FALLBACK_NAME, path)]
    variables.keep([(name, load_option(name, partition, file)) for name, file in options])


def _make_mutable(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            (flags,) = struct.unpack("<Q", fcntl.ioctl(handle, GET_FLAGS, bytes(8)))
            fcntl.ioctl(handle, SET_FLAGS, struct.pack("<Q", flags & ~IMMUTABLE))
    finally:
        os.close(handle)
