"""Whether a box can take a release: what its initrd can mount, and what its ESP holds.

In: a release, the bytes of its boot files. Out: nothing, or an error with the number. Rules: it is asked before
anything is signed or published, and once more when a disk is made.

    check_mounts(content)
    check_esp(len(uki) + len(addon))
"""

from collections.abc import Iterator

from gitops.errors import AssembleError
from gitops.model import Content

MAX_LAYERS = 62
"""Layers in one mount: their names (64 digits and a colon each) must fit in a page of options (mount(2))."""
MIB = 2**20
ESP = 256
"""MiB of the ESP as `toweros box image` makes it."""
ENTRIES = 3
"""UKIs on an ESP: the one that runs, the one before, the one that is being written."""
TABLES = 4
"""MiB for FAT's own tables and folders."""


def check_mounts(content: Content) -> None:
    """Raises AssembleError: a mount has more layers than the initrd can mount."""
    for where, count in _mounts(content):
        if count > MAX_LAYERS:
            hint = "let a Dockerfile copy more at once, join images, or `pull: registry` for apps"
            raise AssembleError(f"{where} has {count} layers, and a box can mount {MAX_LAYERS}", hint=hint)


def check_esp(entry: int, loader: int = 0, esp: int = ESP) -> None:
    """Raises AssembleError: an ESP of `esp` MiB cannot hold entries of this many bytes."""
    needed = ENTRIES * entry + loader
    if needed > (esp - TABLES) * MIB:
        hint = "a smaller kernel or initrd"
        raise AssembleError(f"three UKIs need {needed // MIB + TABLES + 1} MiB on the ESP, not {esp}", hint=hint)


def _mounts(content: Content) -> Iterator[tuple[str, int]]:
    yield "the root (kernel, init and files)", len(content.root)
    for mounted in content.containers:
        yield f"/containers/{mounted.path}", len(mounted.layers)
