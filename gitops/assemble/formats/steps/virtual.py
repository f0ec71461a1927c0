"""Disks as hypervisors want them: the same sectors in another wrapping, by qemu-img.

In: a raw disk. Out: qcow2, VMDK (stream-optimized, as `linuxkit build` has it), VHD (fixed, or dynamic). Rules:
what qemu-img draws at random is replaced by what the disk's own digest says.
"""

import re
import shutil
import struct
from pathlib import Path

from gitops.assemble.formats.work import EPOCH, Work
from gitops.errors import AssembleError
from gitops.store.files.blobs import digest_file

CID = re.compile(rb"(?<=\n)CID=[0-9a-f]{1,8}(\n[^\0]*)")
DESCRIPTOR = 4096
"""Bytes at the beginning of a VMDK in which its description is."""
FOOTER = 512
TIMESTAMP, CHECKSUM, UNIQUE = 24, 64, 68
"""Offsets in a VHD's footer (Microsoft, "Virtual Hard Disk Image Format Specification", "Hard Disk Footer Format")."""
ERA = 946_684_800
"""Seconds from 1970 to 2000, from where a VHD counts."""
VMDK = "adapter_type=lsilogic,subformat=streamOptimized,compat6"
VHD, DYNAMIC = "subformat=fixed,force_size", "subformat=dynamic,force_size"


def qcow2(work: Work) -> None:
    """By qemu-img as it is."""
    _convert(work, "qcow2", "")


def vmdk(work: Work) -> None:
    """A VMDK, whose content id is the disk's."""
    _convert(work, "vmdk", VMDK)
    name_content(work.target, min(_digest(work)[:8], "fffffffe"))  # ffffffff stands for none


def name_content(file: Path, name: str) -> None:
    """Write the content id (8 hex digits) of a VMDK. qemu-img writes a number without leading zeros, so one in sixteen
    has fewer digits: what stands behind it moves, into the zeros there.

    Raises:
        AssembleError: there is none.
    """
    with file.open("r+b") as stream:
        match = CID.search(stream.read(DESCRIPTOR))
        if match is None:
            raise AssembleError("qemu-img made a VMDK without a content id")
        stream.seek(match.start())
        stream.write(b"CID=" + name.encode() + match[1])


def vhd(work: Work) -> None:
    """A VHD, whose time is fixed and whose id is the disk's."""
    _convert(work, "vpc", VHD)
    _settle_footer(work, -FOOTER, 2)


def dynamic_vhd(work: Work) -> None:
    """The same with the blocks alone that hold something; what is at its end is at its beginning, too."""
    _convert(work, "vpc", DYNAMIC)
    _settle_footer(work, 0, 0)
    _settle_footer(work, -FOOTER, 2)


def _settle_footer(work: Work, offset: int, whence: int) -> None:
    with work.target.open("r+b") as stream:
        stream.seek(offset, whence)
        footer = bytearray(stream.read(FOOTER))
        struct.pack_into(">I", footer, TIMESTAMP, EPOCH - ERA)
        footer[UNIQUE : UNIQUE + 16] = bytes.fromhex(_digest(work)[:32])
        struct.pack_into(">I", footer, CHECKSUM, 0)
        struct.pack_into(">I", footer, CHECKSUM, ~sum(footer) & 0xFFFFFFFF)
        stream.seek(offset, whence)
        stream.write(footer)


def _digest(work: Work) -> str:
    (paths,) = work.inputs.values()
    return digest_file(paths[0]).sha256


def _convert(work: Work, form: str, options: str) -> None:
    (paths,) = work.inputs.values()
    with work.tools().workspace() as inside:
        inside.take(paths[0], "disk")
        words = ["-o", options] if options else []
        inside.run(["qemu-img", "convert", "-f", "raw", "-O", form, *words, "disk", "made"], timeout=3600)
        shutil.move(inside.path("made"), work.target)
