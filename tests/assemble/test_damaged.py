"""A bad disk changes a byte of what was built: nothing is signed of it, and it is made again."""

from dataclasses import replace
from pathlib import Path

import pytest

from gitops.assemble.layers import Layers
from gitops.assemble.release import Assembler
from gitops.assemble.toolbox import Toolbox
from gitops.errors import AssembleError, StoreError
from gitops.store import Store
from gitops.store.files.blobs import Blobs
from tests.kit import built, oci
from tests.kit.assembling import REVISION, a_site

MODULES = oci.tar({"usr/lib/modules/1/modules.dep": b"", "usr/lib/modules/1/modules.builtin": b""})


def flip(store: Store, digest: str, at: int) -> bytes:
    """What it was."""
    path = store.blobs.path(digest)
    good = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    return good


def test_a_damaged_tar_is_taken_away_before_a_layer_is_made_of_it(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    digest = store.blobs.put(oci.tar({"bin/a": b"a" * 600})).sha256
    good = flip(store, digest, 700)
    with pytest.raises(AssembleError, match=f"layer tar sha256:{digest} was damaged on disk"):
        Layers(store, None).of_blob(digest)  # type: ignore[arg-type]
    assert not store.blobs.has(digest), "so that its package counts as not built"
    store.blobs.put(good)
    assert Layers(store, None).tar(digest).read_bytes() == good  # type: ignore[arg-type]


@pytest.mark.e2e
def test_no_tool_runs_of_a_damaged_toolbox(tmp_path: Path) -> None:
    """It is unpacked once for all that is made with it."""
    store = Store.open(tmp_path / "store")
    image = oci.image(store, "toolbox", {"bin/mkfs.erofs": b"#!" * 300})
    good = flip(store, image.layers[0], 600)
    with pytest.raises(AssembleError, match="was damaged on disk"):
        Toolbox.unpack(store, image)
    store.blobs.put(good)
    with Toolbox.unpack(store, image).workspace() as work:
        assert (work.folder.parents[1] / "bin/mkfs.erofs").read_bytes() == b"#!" * 300


@pytest.mark.e2e
@pytest.mark.parametrize("at", [3, 600], ids=["in a name", "in what a file holds"])
@pytest.mark.parametrize("name", ["app", "init", "@pkg:pkg/initrd", "@pkg:pkg/bootloader", "kernel"])
def test_no_release_is_made_of_a_damaged_tar_and_the_next_is_as_it_would_have_been(
    tmp_path: Path, name: str, at: int
) -> None:
    store, other = Store.open(tmp_path / "store"), Store.open(tmp_path / "other")
    for each in (store, other):
        box, images = a_site(each, {"kernel": b"K" * 900, "kernel.tar": MODULES}, layers=2)
        images = {key: replace(image, config={"Cmd": ["/file0"]}) for key, image in images.items()}
    (digest, *_) = images[name].layers
    good = flip(store, digest, at)
    with pytest.raises(AssembleError, match=f"sha256:{digest} was damaged on disk"):
        Assembler(store, built.toolbox(), images).assemble(box, REVISION, "http://here")
    assert not store.blobs.has(digest)
    store.blobs.put(good)
    made = [Assembler(each, built.toolbox(), images).assemble(box, REVISION, "http://here") for each in (store, other)]
    assert made[0].release.digest == made[1].release.digest


def test_a_damaged_blob_of_the_store_is_taken_away_when_it_is_read(tmp_path: Path) -> None:
    """Nobody has to delete it: it is made or fetched again. A reader that the store is not of takes nothing away."""
    store = Store.open(tmp_path / "store")
    digest = store.blobs.put(b"kernel" * 100).sha256
    flip(store, digest, 5)
    with pytest.raises(StoreError, match=f"blob sha256:{digest} was damaged on disk"):
        Blobs(store.paths.blobs).read(digest)
    assert store.blobs.has(digest)
    with pytest.raises(StoreError, match="was damaged on disk"):
        store.blobs.read(digest)
    assert not store.blobs.has(digest)


@pytest.mark.e2e
@pytest.mark.parametrize("which", ["kernel", "initrd", "loader"])
def test_a_damaged_kernel_initrd_or_loader_is_made_again_by_itself(tmp_path: Path, which: str) -> None:
    store = Store.open(tmp_path / "store")
    box, images = a_site(store, {"kernel": b"K" * 900, "kernel.tar": MODULES}, layers=1)
    images = {key: replace(image, config={"Cmd": ["/file0"]}) for key, image in images.items()}
    good = Assembler(store, built.toolbox(), images).assemble(box, REVISION, "http://here")
    content = good.release.content
    loader = Assembler(store, built.toolbox(), images).boot_files()["systemd-bootx64.efi"]
    digest = {"kernel": content.kernel, "initrd": content.initrd, "loader": loader}[which].sha256
    flip(store, digest, 100)
    with pytest.raises(StoreError, match=f"blob sha256:{digest} was damaged on disk"):
        Assembler(store, built.toolbox(), images).assemble(box, REVISION, "http://here")
    again = Assembler(store, built.toolbox(), images).assemble(box, REVISION, "http://here")
    assert (again.release.digest, again.uki, again.loader) == (good.release.digest, good.uki, good.loader)
