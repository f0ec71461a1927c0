"""What the assembler needs for one box, as small as it may be; the boot loader is the real one."""

from collections.abc import Mapping

from gitops.assemble.release import BOOTLOADER, INITRD
from gitops.model import Box, Container, Image, Revision, Spec
from gitops.store import Store
from tests.kit import built, oci

REVISION = Revision("main", "0" * 40, 1, 1_700_000_000)


def a_site(store: Store, kernel: Mapping[str, oci.File], layers: int) -> tuple[Box, dict[str, Image]]:
    """A box with one service of so many layers, and its images."""
    loader = built.image("pkg/bootloader")
    for diff_id in loader.layers:
        store.blobs.put_file(built.store().blobs.path(diff_id))
    images = {
        "kernel": oci.image(store, "kernel", kernel),
        "init": oci.image(store, "init", {"usr/lib/": b"", "lib": "usr/lib"}),
        "app": oci.image(store, "app", *({f"file{number}": b"%d" % number} for number in range(layers))),
        INITRD: oci.image(store, "initrd", {"init": b"#!/bin/sh\n"}),
        BOOTLOADER: loader,
    }
    spec = Spec("kernel", "quiet", init=("init",), services=(Container("app", "app"),))
    return Box("a", "vm", spec), images
