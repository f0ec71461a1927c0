"""Boot files, unsigned: the UKI that all boxes with one kernel share, and the addon of one box and release.

In: the bootloader package's stubs, kernel, initrd, base arguments; a Release, the server's URL, a Network. Out: PE
images, the same for the same input. Rules: `.osrel` is one constant, so that systemd-boot sorts entries by file name
(UAPI.1, Sorting); the addon holds nothing but a command line; the UKI's initrd ends with the UKI's own arguments, so
that what it starts with can be compared with what is signed (docs/formats.md, "Boot files").

    make_uki(stub, kernel, initrd, "console=ttyS0")
    make_addon(addon_stub, release, "http://10.0.2.2:8080", Network())
"""

import stat

from gitops.assemble.boot.cpio import Node, archive
from gitops.assemble.boot.pe import Section, add_sections
from gitops.errors import AssembleError
from gitops.model import DiskRule, Network, Release
from gitops.model.network.wiring import Wiring

OS_RELEASE = b'ID=toweros\nNAME="TowerOS"\nPRETTY_NAME="TowerOS"\n'
SIGNED_LINE = "etc/cmdline"
"""Where the initrd finds the UKI's own arguments."""
CPIO_ALIGNMENT = 4
MAX_CMDLINE = 1500
"""Bytes. The kernel's own limit is 2048, and the UKI's and the addon's arguments share it."""


def make_uki(stub: bytes, kernel: bytes, initrd: bytes, cmdline: str) -> bytes:
    """A unified kernel image.

    Raises:
        AssembleError: the stub is not what it should be, or the command line is too long or not plain text.
    """
    return add_sections(
        stub,
        [
            Section(".osrel", OS_RELEASE),
            Section(".cmdline", _text(cmdline)),
            Section(".initrd", initrd + signed_line(len(initrd), cmdline)),
            Section(".linux", kernel),
        ],
    )


def signed_line(size: int, cmdline: str) -> bytes:
    """What follows an initrd of `size` bytes: a second archive, with the UKI's own arguments in a file."""
    line = {SIGNED_LINE: Node(stat.S_IFREG | 0o644, data=_text(cmdline).rstrip(b"\0") + b"\n")}
    return bytes(-size % CPIO_ALIGNMENT) + archive(line)


def make_addon(
    stub: bytes, release: Release, server: str, network: Network | Wiring, disk: DiskRule | None = None, noc: str = ""
) -> bytes:
    """The addon that names a release: what its box must run, whom it asks for that, how its disk is divided."""
    return add_sections(stub, [Section(".cmdline", _text(arguments(release, server, network, disk, noc)))])


def arguments(
    release: Release, server: str, network: Network | Wiring, disk: DiskRule | None = None, noc: str = ""
) -> str:
    """The addon's part of the kernel command line. A box without a rule for its disk has no word for it, nor one
    without a site's own server (`noc`)."""
    words = {
        "release": release.digest,
        "sequence": str(release.sequence),
        "box": release.box,
        "server": server,
        "net": network.word,
        **({"disk": disk.word} if disk else {}),
        **({"noc": noc.rstrip("/")} if noc else {}),
    }
    if spaced := [name for name, value in words.items() if not value or any(c.isspace() or c == '"' for c in value)]:
        raise AssembleError(
            f"box {release.box}: its {spaced[0]} is empty or has a space, which no command line can hold"
        )
    return " ".join(f"toweros.{name}={value}" for name, value in words.items())


def _text(cmdline: str) -> bytes:
    """One line, ended as C ends it: the stub reads up to the zero byte."""
    data = " ".join(cmdline.split()).encode()
    if not data.isascii() or len(data) > MAX_CMDLINE:
        raise AssembleError(f"the kernel's arguments must be plain ASCII and shorter than {MAX_CMDLINE} bytes")
    return data + b"\0"
