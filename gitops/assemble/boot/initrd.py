"""The initrd: the tree of the initrd package, the kernel modules that it asks for, one zstd-compressed cpio archive.

In: the initrd Image's layer tars, `kernel.tar`. Out: bytes, the same for the same input and toolbox.
"""

from collections.abc import Sequence
from pathlib import Path

from gitops.assemble.boot import cpio, modules
from gitops.assemble.tars import tree_of
from gitops.assemble.toolbox import Toolbox
from gitops.errors import AssembleError

LEVEL = 19
"""zstd's: slow to pack, as fast to unpack as any. Its window stays below what the kernel takes (128 MiB)."""


def make_initrd(toolbox: Toolbox, layers: Sequence[Path], kernel_tar: Path) -> bytes:
    """The initrd of an image's layers and a kernel's modules.

    Raises:
        AssembleError: there is no /init, or a module is missing.
    """
    tree = tree_of(layers)
    if "init" not in tree:
        raise AssembleError("the initrd image has no /init", hint="see pkg/initrd")
    tree |= modules.needed(modules.requested(tree), kernel_tar)
    with toolbox.workspace() as work:
        return work.run(["zstd", "--quiet", "--stdout", f"-{LEVEL}", "--single-thread"], stdin=cpio.archive(tree))
