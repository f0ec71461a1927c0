"""What a box cannot take is refused where it is made, with the number."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gitops.assemble.fits import MAX_LAYERS, MIB, check_esp, check_mounts
from gitops.assemble.formats.disk import Sizes
from gitops.assemble.release import BOOTLOADER, INITRD, Assembler
from gitops.errors import AssembleError
from gitops.model import BlobRef, Box, Container, Content, HealthSpec, Image, Layer, Mounted, Revision, Spec
from gitops.store import Store
from tests.kit import built, oci

PAGE = 4096
REVISION = Revision("main", "0" * 40, 1, 1_700_000_000)


def layers(count: int) -> tuple[Layer, ...]:
    return tuple(Layer(f"{number:064x}", 4096) for number in range(count))


def content(root: int, container: int) -> Content:
    blob = BlobRef("0" * 64, 1)
    return Content(blob, blob, "", layers(root), (Mounted("services/a", "lower", layers(container)),), HealthSpec())


def test_62_layers_are_what_one_page_of_options_holds() -> None:
    assert len(f"ro,lowerdir={':'.join(layer.root for layer in layers(MAX_LAYERS))}") < PAGE
    assert len(f"ro,lowerdir={':'.join(layer.root for layer in layers(MAX_LAYERS + 1))}") >= PAGE


def test_what_fits_is_taken() -> None:
    check_mounts(content(MAX_LAYERS, MAX_LAYERS))
    check_esp(84 * MIB)
    assert Sizes().esp == 256


@pytest.mark.parametrize(("root", "container", "where"), [(63, 1, "the root"), (1, 63, "/containers/services/a")])
def test_one_layer_more_is_refused_by_name(root: int, container: int, where: str) -> None:
    with pytest.raises(AssembleError, match=rf"{where}.* has 63 layers, and a box can mount 62"):
        check_mounts(content(root, container))


def test_a_uki_of_which_three_do_not_fit_is_refused_before_it_is_published() -> None:
    with pytest.raises(AssembleError, match="three UKIs need 260 MiB on the ESP, not 256"):
        check_esp(85 * MIB)


@pytest.mark.e2e
def test_the_assembler_asks_before_a_release_is_signed(tmp_path: Path) -> None:
    """A container of 63 layers, and a kernel too large for the ESP; as real as both need to be."""
    store = Store.open(tmp_path / "store")
    modules = oci.tar({"usr/lib/modules/1/modules.dep": b"", "usr/lib/modules/1/modules.builtin": b""})
    box, images = a_site(store, {"kernel": bytes(90 * MIB), "kernel.tar": modules}, layers=63)
    assembler = Assembler(store, built.toolbox(), images)
    with pytest.raises(AssembleError, match="services/app has 63 layers"):
        assembler.assemble(box, REVISION, "http://here")
    box, images = a_site(store, {"kernel": bytes(90 * MIB), "kernel.tar": modules}, layers=2)
    with pytest.raises(AssembleError, match="three UKIs need"):
        Assembler(store, built.toolbox(), images).assemble(box, REVISION, "http://here")


@pytest.mark.e2e
def test_modules_that_would_hide_a_link_of_init_are_refused(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    modules = oci.tar({"lib/modules/1/modules.dep": b"", "lib/modules/1/modules.builtin": b""})
    box, images = a_site(store, {"kernel": b"K", "kernel.tar": modules}, layers=1)
    with pytest.raises(AssembleError, match="modules below /lib, which is a link of init"):
        Assembler(store, built.toolbox(), images).assemble(box, REVISION, "http://here")


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
