"""What a box cannot take is refused where it is made, with the number."""

from dataclasses import replace
from pathlib import Path

import pytest

from gitops.assemble.boot.pe import sections
from gitops.assemble.fits import (
    LAYERS_FILE,
    MIB,
    NEAR_FILE,
    OLD_LAYERS,
    OVERLAY_LAYERS,
    check_esp,
    check_mounts,
    most_layers,
)
from gitops.assemble.formats.disk import Sizes
from gitops.assemble.release import INITRD, Assembler
from gitops.errors import AssembleError
from gitops.model import BlobRef, Box, Container, Content, HealthSpec, Layer, Mounted
from gitops.store import Store
from tests.kit import built, oci
from tests.kit.assembling import REVISION, a_site

PAGE = 4096


def layers(count: int, first: int = 0) -> tuple[Layer, ...]:
    return tuple(Layer(f"{number:064x}", 4096) for number in range(first, first + count))


def content(root: int, container: int) -> Content:
    blob = BlobRef("0" * 64, 1)
    return Content(blob, blob, "", layers(root), (Mounted("services/a", "lower", layers(container)),), HealthSpec())


def test_62_layers_are_what_one_page_of_options_holds_with_their_names() -> None:
    assert len(f"ro,lowerdir={':'.join(layer.root for layer in layers(OLD_LAYERS))}") < PAGE
    assert len(f"ro,lowerdir={':'.join(layer.root for layer in layers(OLD_LAYERS + 1))}") >= PAGE


def test_what_fits_is_taken() -> None:
    check_mounts(content(OLD_LAYERS, OLD_LAYERS), most_layers(None))
    check_mounts(content(OVERLAY_LAYERS, OVERLAY_LAYERS), most_layers(b"500\n"))
    check_esp(84 * MIB)
    assert Sizes().esp == 256


@pytest.mark.parametrize("most", [62, 500])
@pytest.mark.parametrize("where", ["the root", "/containers/services/a"])
def test_one_layer_more_is_refused_by_name(most: int, where: str) -> None:
    counts = (most + 1, 1) if where == "the root" else (1, most + 1)
    with pytest.raises(AssembleError, match=rf"{where}.* has {most + 1} layers, and a box can mount {most}") as caught:
        check_mounts(content(*counts), most)
    assert ("this initrd is an older one" in caught.value.hint) == (most == OLD_LAYERS)


def test_a_release_of_more_layers_than_an_agent_takes_is_refused() -> None:
    """Each mount fits, and all of them together do not."""
    mounts = tuple(Mounted(f"services/{number}", "lower", layers(OVERLAY_LAYERS, number * 1000)) for number in range(9))
    with pytest.raises(AssembleError, match="the release has 4501 layers, and a box takes 4096"):
        check_mounts(replace(content(1, 1), root=layers(1, 9000), containers=mounts), OVERLAY_LAYERS)


@pytest.mark.parametrize(("said", "most"), [(None, 62), (b"500\n", 500), (b"9999", 500), (b"100\n", 100)])
def test_an_initrd_says_what_it_mounts_and_the_kernel_what_it_takes(said: bytes | None, most: int) -> None:
    assert most_layers(said) == most


@pytest.mark.parametrize("said", [b"", b"many", b"-1", b"1" * 5000])
def test_what_says_no_number_is_refused(said: bytes) -> None:
    with pytest.raises(AssembleError, match="/etc/most-layers of the initrd is no number"):
        most_layers(said)


def test_a_uki_of_which_three_do_not_fit_is_refused_before_it_is_published() -> None:
    with pytest.raises(AssembleError, match="three UKIs need 260 MiB on the ESP, not 256"):
        check_esp(85 * MIB)


@pytest.mark.e2e
def test_the_assembler_asks_before_a_release_is_signed(tmp_path: Path) -> None:
    """63 layers under an older initrd, and a kernel too large for the ESP; as real as both need to be."""
    store = Store.open(tmp_path / "store")
    modules = oci.tar({"usr/lib/modules/1/modules.dep": b"", "usr/lib/modules/1/modules.builtin": b""})
    box, images = a_site(store, {"kernel": bytes(90 * MIB), "kernel.tar": modules}, layers=63)
    assembler = Assembler(store, built.toolbox(), images)
    with pytest.raises(AssembleError, match="services/app has 63 layers"):
        assembler.assemble(box, REVISION, "http://here")
    newer = images | {INITRD: oci.image(store, "newer", {"init": b"#!/bin/sh\n", LAYERS_FILE: b"500\n"})}
    with pytest.raises(AssembleError, match="three UKIs need"):
        Assembler(store, built.toolbox(), newer).assemble(box, REVISION, "http://here")
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


@pytest.mark.e2e
def test_no_release_is_made_of_a_service_that_nobody_gives_a_command(tmp_path: Path) -> None:
    """It would be built, signed and fetched, and then not start."""
    store = Store.open(tmp_path / "store")
    modules = oci.tar({"usr/lib/modules/1/modules.dep": b"", "usr/lib/modules/1/modules.builtin": b""})
    box, images = a_site(store, {"kernel": b"K", "kernel.tar": modules}, layers=2)
    with pytest.raises(AssembleError, match=r"services\.app names no command, and app has none"):
        Assembler(store, built.toolbox(), images).assemble(box, REVISION, "http://here")
    named = replace(images["app"], config={"Cmd": ["/file0"]})
    made = Assembler(store, built.toolbox(), images | {"app": named}).assemble(box, REVISION, "http://here")
    assert [mounted.path for mounted in made.release.content.containers] == ["services/app"]


@pytest.mark.e2e
def test_an_older_initrd_gets_no_word_that_it_would_refuse(tmp_path: Path) -> None:
    """The box would start nothing any more; it asks the server, as before."""
    store = Store.open(tmp_path / "store")
    modules = oci.tar({"usr/lib/modules/1/modules.dep": b"", "usr/lib/modules/1/modules.builtin": b""})
    box, images = a_site(store, {"kernel": b"K", "kernel.tar": modules}, layers=2)
    own = replace(box, noc="http://192.0.2.7:8080/")
    own = replace(own, spec=replace(own.spec, services=(Container("app", "app", {"command": ["/file0"]}),)))
    newer = images | {INITRD: oci.image(store, "newer", {"init": b"#!/bin/sh\n", NEAR_FILE: b"# a NOC\n"})}
    said = [line_of(Assembler(store, built.toolbox(), each), own) for each in (images, newer)]
    assert "toweros.noc" not in said[0] and said[1] == f"{said[0]} toweros.noc=http://192.0.2.7:8080"


def line_of(assembler: Assembler, box: Box) -> str:
    """The words of its addon, but for the release's digest."""
    words = sections(assembler.assemble(box, REVISION, "http://here").addon)[".cmdline"].split(b"\0")[0].decode()
    return words.partition(" ")[2]
