"""A machine on a disk image or an ISO, for a look: the file stays as it is.

In: a file; whose keys its firmware trusts (a keys folder, `NO_KEYS`, or None: a BIOS). Out: hardware, in a folder that
is gone afterwards. Rules: what is written goes to an overlay; an ISO is a disc, which nobody writes.

    with on_file(Path("box.iso"), None) as made:
        Machine(made.folder, made.hardware)
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gitops.errors import VmError
from gitops.lab.firmware import Certificates, enroll_keys, setup_mode
from gitops.lab.hardware import Hardware, overlay

ISO = ".iso"
SECTOR, BOOT_SECTOR, QCOW2 = 512, b"\x55\xaa", b"QFI\xfb"
"""How a disk's first sector ends, also before a GPT (UEFI specification, 5.2); how a qcow2 begins (docs/interop)."""
DESCRIPTOR, ISO9660 = 16 * 2048 + 1, b"CD001"
"""Where a disc says what it is (ECMA-119, 8.1)."""
NO_KEYS = Path()
"""Firmware in setup mode."""


class OnFile(NamedTuple):
    """A machine that is not started yet."""

    folder: Path
    hardware: Hardware


def is_file(name: str) -> bool:
    """Whether a word names a file: a box's name has neither sign."""
    return "/" in name or "." in name


@contextmanager
def on_file(file: Path, keys: Path | None, *, iso: bool = False) -> Iterator[OnFile]:
    """A machine's hardware. `iso`: the file is one, whatever its name ends with.

    Raises:
        VmError: there is no such file, nothing in it can start, or there is no certificate in `keys`.
        ProcessError: QEMU cannot read the file.
    """
    if not file.is_file():
        raise VmError(f"there is no file {file}", hint="name a box, a disk image or an ISO")
    with tempfile.TemporaryDirectory(prefix="toweros-vm-") as name:
        folder, optical = Path(name), iso or file.suffix == ISO
        _check(file, optical)
        disk = file if optical else overlay(file, folder / "disk.qcow2")
        yield OnFile(folder, Hardware(disk, _variables(folder / "vars.fd", keys), optical=optical))


def _check(file: Path, optical: bool) -> None:
    """Firmware would say nothing of it, or start something else."""
    with file.open("rb") as stream:
        first = stream.read(SECTOR)
        stream.seek(DESCRIPTOR)
        disc = stream.read(len(ISO9660)) == ISO9660
    if optical and not disc:
        raise VmError(f"{file} is no ISO", hint="name one, or a disk image without --iso")
    if not optical and first[:4] != QCOW2 and first[-2:] != BOOT_SECTOR:
        raise VmError(
            f"{file} is no disk image: it has no boot sector", hint="name a disk image (raw, qcow2) or an ISO"
        )


def _variables(variables: Path, keys: Path | None) -> Path | None:
    if keys is None:
        return None
    if keys == NO_KEYS:
        return setup_mode(variables)
    certificates = Certificates.of_folder(keys)
    if not certificates.pk.is_file():
        hint = "say --no-secure-boot or --bios; `toweros keys init` makes keys"
        raise VmError(f"{keys} has no certificates for Secure Boot", hint=hint)
    return enroll_keys(variables, certificates)
