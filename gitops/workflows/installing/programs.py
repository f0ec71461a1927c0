"""Programs that are started and come with no Python library: which Debian package has each, and who needs it.

In: a `Part`. Out: what is missing of it, by Debian's names, and the line that installs it. Rules: what nobody starts is
not asked for; the names are those of debian-packages.txt (a test compares); an old version of a program that matters is
as good as none.

    missing = [program for program in of(Part.controller, "buildah") if not program.here()]
    apt_line(missing)       # "apt-get install --no-install-recommends buildah zstd"
"""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gitops.errors import ProcessError
from gitops.process import run

SECONDS = 10.0
"""For a program to say its version."""


class Part(StrEnum):
    """What this machine is for. The others' programs are not asked for."""

    controller = "controller"
    server = "server"
    vm = "vm"


@dataclass(frozen=True)
class Program:
    """`name`: of the program, or the path of a file; `least`: the lowest version that works, empty: any."""

    name: str
    package: str
    why: str
    parts: tuple[Part, ...] = (Part.controller,)
    builder: str = ""
    """Needed with that `builder` of the settings alone."""
    least: tuple[int, ...] = ()

    def here(self) -> bool:
        """Whether it can be started, or read."""
        return Path(self.name).is_file() if "/" in self.name else shutil.which(self.name) is not None

    def version(self) -> tuple[int, ...]:
        """What it says of itself; empty when it says nothing that is one."""
        try:
            said = run([self.name, "--version"], timeout=SECONDS).decode(errors="replace")
        except ProcessError:
            return ()
        found = re.search(r"(\d+)\.(\d+)", said)
        return tuple(map(int, found.groups())) if found else ()


EVERY = (Part.controller, Part.vm)
PROGRAMS = (
    # 2.38: the first that heeds `safe.bareRepository` (process.py); an older one would run what a commit brings.
    Program("git", "git", "reads the fleet repo's remote", EVERY, least=(2, 38)),
    Program("ssh", "openssh-client", "ssh:// remotes, `toweros box ssh`", EVERY),
    Program("ssh-keygen", "openssh-client", "checks SSH signatures", EVERY, least=()),
    Program("gpg", "gnupg", "checks OpenPGP signatures"),
    Program("buildah", "buildah", "builds packages", builder="buildah", least=(1, 28)),
    Program("mmdebstrap", "mmdebstrap", "unpacks the root of pkg/base"),
    Program("mount", "mount", "mmdebstrap mounts what such a root needs"),
    Program("dpkg-deb", "dpkg", "opens Debian packages"),
    Program("apt-get", "apt", "finds locked files on this machine's mirrors"),
    Program("zstd", "zstd", "packs layers, makes deltas", (Part.controller, Part.server)),
    Program("sbsign", "sbsigntool", "signs for Secure Boot"),
    Program("unshare", "util-linux", "takes the network from a build"),
    Program("chroot", "coreutils", "starts the pinned image tools"),
    Program("tar", "tar", "unpacks the pinned image tools"),
    Program("mcopy", "mtools", "writes a disk's ESP", EVERY),
    Program("sgdisk", "gdisk", "divides a disk", EVERY),
    Program("mke2fs", "e2fsprogs", "makes a disk's file systems", EVERY),
    Program("qemu-img", "qemu-utils", "makes disks", EVERY),
    Program("qemu-system-x86_64", "qemu-system-x86", "`toweros vm run`, `make demo`", (Part.vm,), least=(7, 0)),
    Program("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "ovmf", "the firmware of such machines", (Part.vm,)),
)


def of(part: Part, builder: str) -> list[Program]:
    """What a part needs."""
    return [each for each in PROGRAMS if part in each.parts and each.builder in ("", builder)]


def apt_line(missing: Iterable[Program]) -> str:
    """What to type; empty when nothing is missing."""
    packages = sorted({program.package for program in missing})
    return f"apt-get install --no-install-recommends {' '.join(packages)}" if packages else ""
