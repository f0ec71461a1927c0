"""What a disk for a machine with a BIOS has beside that of every box: GRUB, and a release taken apart for it (ADR 62).

In: the media tools; a release's sequence, its signed UKI and addon. Out: the MBR's code, the core for the BIOS boot
partition, files for the ESP. Rules: the box's agent writes the same files for every later release, byte for byte
(pkg/agent, host/bios); GRUB's own configuration is in its core and never changes on a box.

    loader = bios_loader(toolbox)
    files = bios_files(7, uki, addon)       # "grub/grubenv" -> bytes, ...
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from gitops.assemble.boot import grub
from gitops.assemble.boot.pe import FILE_HEADER, PE_OFFSET, SECTION_HEADER, sections
from gitops.assemble.toolbox import Toolbox
from gitops.errors import AssembleError

PARTITION = "gpt2"
"""Of the ESP; the first one is GRUB's core."""
ENVIRONMENT = 1024
MAX_LINE = 1900
UNSAFE = frozenset("'\"\\")
CONFIG = """\
# Which entry is started, and how its tries are counted: what systemd-boot does with names. Nothing on the ESP but
# grubenv is written, and only the one number in it; where it is damaged, the blessed entries of good.cfg are tried, and
# where that is damaged as well, all there are.
if serial --unit=0 --speed=115200; then terminal_output console serial; fi

function start {
	set entry="toweros-$1$2.efi"
	echo "GRUB: $entry"
	if source "/EFI/Linux/toweros-$1.efi.extra.d/grub.cfg"; then boot; fi
	echo "GRUB: $entry does not start"
	loopback -d uki
}

# Counted before it is started, and read back: where nobody can write, nothing is tried.
function try {
	set "left_$1=$2"
	if save_env -f /grub/grubenv "left_$1"; then
		unset "left_$1"
		load_env -f /grub/grubenv
		eval "set left=\\$left_$1"
		if [ "$left" = "$2" ]; then start "$1" "$3"; fi
	fi
}

load_env -f /grub/grubenv
for sequence in $order; do
	eval "set left=\\$left_$sequence"
	if [ "$left" = "" ]; then start $sequence ""
	elif [ "$left" = 3 ]; then try $sequence 2 "+2-1"
	elif [ "$left" = 2 ]; then try $sequence 1 "+1-2"
	elif [ "$left" = 1 ]; then try $sequence 0 "+0-3"
	fi
done
source /grub/good.cfg
for sequence in $good; do start $sequence ""; done
for sequence in $order; do
	eval "set left=\\$left_$sequence"
	if [ "$left" = "" ]; then start $sequence ""; else start $sequence "+0-3"; fi
done
for config in /EFI/Linux/*/grub.cfg; do
	if regexp --set=1:sequence 'toweros-([0-9]+)[.]efi' "$config"; then start $sequence ""; fi
done
echo "GRUB: no release starts"
sleep 30
reboot
"""


@dataclass(frozen=True)
class BiosLoader:
    """The toolbox's GRUB, for one place on a disk: `start` is the core's first sector."""

    sector: bytes
    core: bytes
    start: int


def bios_loader(toolbox: Toolbox, start: int) -> BiosLoader:
    """GRUB for a disk whose BIOS boot partition begins at sector `start`.

    Raises:
        AssembleError, ProcessError: see `grub.core_image`.
    """
    core = grub.core_image(toolbox, grub.DISK_MODULES, CONFIG, partition=PARTITION)
    return BiosLoader(grub.boot_sector(toolbox, start), grub.placed(core, start), start)


def bios_files(sequence: int, uki: bytes, addon: bytes) -> Mapping[str, bytes]:
    """The files of the ESP that GRUB reads, for a disk with one blessed release.

    Raises:
        AssembleError: GRUB could not hand the kernel's arguments on as they are.
    """
    environment = f"# GRUB Environment Block\norder={sequence}\n".encode().ljust(ENVIRONMENT, b"#")
    return {
        "grub/grubenv": environment,
        "grub/good.cfg": f'set good="{sequence}"\n'.encode(),
        f"EFI/Linux/toweros-{sequence}.efi.extra.d/grub.cfg": grub_config(sequence, uki, addon),
    }


def grub_config(sequence: int, uki: bytes, addon: bytes) -> bytes:
    """What GRUB does to start a release: kernel and initrd by their sectors in the UKI, and both files' arguments.

    Raises:
        AssembleError: it could not hand the kernel's arguments on as they are.
    """
    words = [word for each in (uki, addon) for word in _words(each)]
    quoted = "".join(f" '{word}'" for word in words)
    if any(UNSAFE & {*word} for word in words) or len(quoted) > MAX_LINE:
        hint = "take the quotes and backslashes out of the kernel's cmdline, or make it shorter"
        raise AssembleError("GRUB cannot hand on the kernel's arguments of this release as they are", hint=hint)
    lines = [
        f"loopback uki /EFI/Linux/toweros-{sequence}.efi",
        f"linux {_blocks(uki, '.linux')}{quoted} toweros.entry=$entry",
        f"initrd {_blocks(uki, '.initrd')}",
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def _words(image: bytes) -> list[str]:
    return sections(image)[".cmdline"].partition(b"\0")[0].decode("ascii").split()


def _blocks(image: bytes, name: str) -> str:
    """GRUB's name of a section's sectors ("Block list syntax" in its manual)."""
    (start,) = struct.unpack_from("<I", image, PE_OFFSET)
    count, size = struct.unpack_from("<H", image, start + 6)[0], struct.unpack_from("<H", image, start + 20)[0]
    table = start + FILE_HEADER + size
    rows = [struct.unpack_from("<8sIIII", image, table + SECTION_HEADER * index) for index in range(count)]
    place, length = next(
        (place, min(used, raw)) for each, used, _, raw, place in rows if each.strip(b"\0") == name.encode()
    )
    if place % grub.SECTOR:
        raise AssembleError(f"the UKI's {name} does not begin with a sector: GRUB could not read it")
    return f"(uki){place // grub.SECTOR}+{-(-length // grub.SECTOR)}"
