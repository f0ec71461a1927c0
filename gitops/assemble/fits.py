"""Whether a box can take a release: what its initrd can mount, and what its ESP holds.

In: a release, the bytes of its boot files. Out: nothing, or an error with the number. Rules: it is asked before
anything is signed or published, and once more when a disk is made.

    check_mounts(content, most_layers(b"500\n"))
    check_esp(len(uki) + len(addon))
"""

from collections.abc import Iterator

from gitops.errors import AssembleError
from gitops.model import Content, DiskRule, Layer
from gitops.model.room import ENTRIES, MIB, TABLES

OVERLAY_LAYERS = 500
"""Layers in one mount that overlayfs takes (OVL_MAX_STACK)."""
SETTLE_FILE = "settle"
"""What an initrd has that divides disks, and takes the word for it."""
NEAR_FILE = "near"
"""What an initrd has that asks a site's own server, and takes the word for it."""
OLD_LAYERS = 62
"""What an initrd mounts that says nothing: names of 64 digits and a colon each, in a page of options (mount(2))."""
LAYERS_FILE = "etc/most-layers"
"""Where an initrd says how many layers it puts into one mount."""
RELEASE_LAYERS = 4096
"""Layers of one release that a box's agent takes (pkg/agent, nouns.py)."""
FEWER = "let a Dockerfile copy more at once, join images, or `pull: registry` for apps"
SHORT = 8
"""Bytes of a number and its line's end."""
ESP = 256
"""MiB of the ESP as `toweros box image` makes it."""


def most_layers(said: bytes | None) -> int:
    """How many layers an initrd puts into one mount, by its `LAYERS_FILE`; None: it has none.

    Raises:
        AssembleError: the file says something else than a number.
    """
    if said is None:
        return OLD_LAYERS
    if not (said.strip().isdigit() and len(said) < SHORT):
        raise AssembleError(f"/{LAYERS_FILE} of the initrd is no number", hint="take it from `toweros init`")
    return min(int(said), OVERLAY_LAYERS)


def check_mounts(content: Content, most: int) -> None:
    """Raises AssembleError: a mount has more than the `most` layers that the initrd can mount, or all are too many."""
    for where, layers in _mounts(content):
        if len(layers) > most:
            message, hint = too_many(where, len(layers), most)
            raise AssembleError(message, hint=hint)
    whole = len({layer.root for _, layers in _mounts(content) for layer in layers})
    if whole > RELEASE_LAYERS:
        raise AssembleError(f"the release has {whole} layers, and a box takes {RELEASE_LAYERS}", hint=FEWER)


def too_many(where: str, count: int, most: int) -> tuple[str, str]:
    """What is wrong with a mount of so many layers, and what helps."""
    older = f"this initrd is an older one, `toweros upgrade` brings one that mounts {OVERLAY_LAYERS}; or "
    hint = (older if most < OVERLAY_LAYERS else "") + FEWER
    return f"{where} has {count} layers, and a box can mount {most}", hint


def check_esp(entry: int, loader: int = 0, esp: int = ESP) -> None:
    """Raises AssembleError: an ESP of `esp` MiB cannot hold entries of this many bytes."""
    needed = ENTRIES * entry + loader
    if needed > esp * MIB - TABLES:
        hint = "a smaller kernel or initrd"
        raise AssembleError(f"three UKIs need {(needed + TABLES) // MIB + 1} MiB on the ESP, not {esp}", hint=hint)


def check_rule(rule: DiskRule | None, settles: bool) -> None:
    """Raises AssembleError: there is a rule for the disk, and this initrd would refuse a word that it does not know."""
    if rule and not settles:
        hint = "`toweros upgrade` brings one; or leave `disk:` out"
        raise AssembleError("this initrd is an older one, which knows no rule for a disk", hint=hint)


def _mounts(content: Content) -> Iterator[tuple[str, tuple[Layer, ...]]]:
    yield "the root (kernel, init and files)", content.root
    for mounted in content.containers:
        yield f"/containers/{mounted.path}", mounted.layers
