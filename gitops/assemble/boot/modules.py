"""Which kernel modules early boot needs, and in which order (kmod: modules.dep(5), modules.builtin).

In: names (as in the initrd's `/etc/modules`; `?` before one: where the kernel has it) and the kernel package's
`kernel.tar`. Out: files for the initrd: each module, decompressed, and `etc/modules.load`: their absolute paths,
dependencies first, for insmod alone.

    needed(["virtio_blk", "erofs", "?e1000e"], Path("kernel.tar"))
"""

import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from gitops.assemble.boot.cpio import Node
from gitops.assemble.tars import files_of
from gitops.errors import AssembleError, RegistryError
from gitops.oci.packed.xz import whole

FOLDER = re.compile(r"((?:usr/)?lib/modules/[^/]+)/(.+)")
MAX_MODULE = 256 << 20
"""Bytes of one module as the kernel reads it."""
SUFFIX = re.compile(r"\.ko(\.xz)?$")
LIST = "etc/modules.load"
REQUESTED = "etc/modules"
OPTIONAL = "?"


def requested(tree: Mapping[str, Node]) -> list[str]:
    """The names in an initrd's /etc/modules: one a line, `#` begins a comment."""
    text = tree[REQUESTED].data.decode() if REQUESTED in tree else ""
    return [name for line in text.splitlines() if (name := line.partition("#")[0].strip())]


def needed(names: Iterable[str], kernel_tar: Path) -> dict[str, Node]:
    """The initrd's files for these modules and all that they depend on.

    Raises:
        AssembleError: there is no modules.dep, or a module is neither there nor built in.
    """
    index, folder = _index(kernel_tar)
    depends = _depends(index.get("modules.dep", ""))
    builtin = {_name(path) for path in index.get("modules.builtin", "").split()}
    order = _order(names, depends, builtin)
    wanted = {f"{folder}/{path}": path for path in order}
    data = {path: content for path, content in files_of(kernel_tar) if path in wanted}
    if missing := sorted(set(wanted) - set(data)):
        raise AssembleError(f"kernel.tar has no {missing[0]}, but its modules.dep names it")
    placed = {
        path: f"usr/lib/modules/{PurePosixPath(folder).name}/{SUFFIX.sub('.ko', wanted[path])}" for path in wanted
    }
    nodes = {placed[path]: Node(stat.S_IFREG | 0o644, data=_plain(path, data[path])) for path in wanted}
    load = "".join(f"/{placed[path]}\n" for path in wanted)
    return nodes | {LIST: Node(stat.S_IFREG | 0o644, data=load.encode())}


def _index(kernel_tar: Path) -> tuple[dict[str, str], str]:
    texts: dict[str, str] = {}
    folder = ""
    for path, data in files_of(kernel_tar):
        match = FOLDER.fullmatch(path)
        if match and match[2] in ("modules.dep", "modules.builtin"):
            folder, texts[match[2]] = match[1], data.decode()
    if "modules.dep" not in texts:
        raise AssembleError("kernel.tar has no modules.dep", hint="run depmod in the kernel package's build")
    return texts, folder


def _name(path: str) -> str:
    # To kmod, - and _ in a module's name are the same.
    return SUFFIX.sub("", PurePosixPath(path).name).replace("-", "_")


def _depends(text: str) -> dict[str, tuple[str, list[str]]]:
    """Module name -> (its path, the paths of what it needs, nearest first)."""
    lines = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {_name(path): (path, after.split()) for path, _, after in lines}


def _order(names: Iterable[str], depends: Mapping[str, tuple[str, list[str]]], builtin: set[str]) -> list[str]:
    """Paths, each after everything that it needs: modules.dep lists a module's whole closure, nearest first."""
    order: dict[str, None] = {}
    for word in names:
        name = _name(word.removeprefix(OPTIONAL))
        if name in depends:
            path, after = depends[name]
            order.update(dict.fromkeys([*reversed(after), path]))
        elif name not in builtin and not word.startswith(OPTIONAL):
            raise AssembleError(f"the kernel has no module {name}", hint=f"see /{REQUESTED} of the initrd package")
    return list(order)


def _plain(path: str, data: bytes) -> bytes:
    # The kernel unpacks modules itself only if it was built with CONFIG_MODULE_DECOMPRESS.
    if not path.endswith(".xz"):
        return data
    try:
        return whole(data, MAX_MODULE)
    except RegistryError as error:
        raise AssembleError(f"the kernel's module {path}: {error.message}") from error
