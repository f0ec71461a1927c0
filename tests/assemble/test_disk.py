"""A new box's disk, read back by the tools that repair disks."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.assemble.formats.disk import MIB, SECTOR, Format, Sizes, disk_image
from gitops.assemble.formats.esp import LOADER_CONF
from gitops.assemble.formats.staging import Contents
from gitops.errors import AssembleError
from gitops.model import BLOCK, BlobRef, Content, HealthSpec, Layer, Release
from gitops.store import Store
from gitops.store.files.verity import root_hash

SIZES = Sizes(esp=48, toweros=32, state=16)
TOOLS = ("sgdisk", "mke2fs", "e2fsck", "debugfs", "mcopy", "mformat")

pytestmark = pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="needs the disk tools")


def a_layer(store: Store, seed: int, blocks: int) -> Layer:
    file = store.paths.root / f"layer-{seed}"
    file.write_bytes(hashlib.shake_128(bytes([seed])).digest(blocks * BLOCK))
    layer = Layer(root_hash(file), blocks * BLOCK)
    store.layers.add(file, layer.root)
    return layer


def some_contents(store: Store) -> Contents:
    layers = tuple(a_layer(store, seed, blocks) for seed, blocks in ((1, 1), (2, 130), (3, 40)))
    ref = BlobRef("0" * 64, 1)
    release = Release("demo-1", 7, Content(ref, ref, "", layers, (), HealthSpec()))
    return Contents(release, b"uki" * 9999, b"addon", b"loader", b"KEY", {"db.crt": b"crt"}, {"root.json": b"{}"})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def tool(*words: str | Path) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def part(disk: Path, label: str, folder: Path) -> Path:
    """A copy of one partition."""
    start, size = SIZES.starts()[label]
    target = folder / label
    with disk.open("rb") as stream:
        stream.seek(start)
        target.write_bytes(stream.read(size))
    return target


def on_esp(disk: Path, path: str) -> bytes:
    place = f"{disk}@@{SIZES.starts()['ESP'][0]}"
    env = {**os.environ, "MTOOLS_SKIP_CHECK": "1"}
    return subprocess.run(["mtype", "-i", place, f"::{path}"], check=True, capture_output=True, env=env).stdout


def test_the_partition_table_is_whole(tmp_path: Path, store: Store) -> None:
    disk = tmp_path / "disk.raw"
    disk_image(disk, store, some_contents(store), SIZES)
    assert "No problems found" in tool("sgdisk", "--verify", disk)
    lines = [line.split() for line in tool("sgdisk", "--print", disk).splitlines() if line.strip()[:1].isdigit()]
    found = {words[-1]: int(words[1]) * SECTOR for words in lines}
    assert found == {label: start for label, (start, _) in SIZES.starts().items()}
    assert disk.stat().st_size == SIZES.total and disk.stat().st_blocks * 512 < 16 * MIB
    assert stat.S_IMODE(disk.stat().st_mode) == 0o600


def test_the_esp_boots_this_release(tmp_path: Path, store: Store) -> None:
    disk, contents = tmp_path / "disk.raw", some_contents(store)
    disk_image(disk, store, contents, SIZES)
    assert on_esp(disk, "/EFI/BOOT/BOOTX64.EFI") == contents.loader
    assert on_esp(disk, "/EFI/Linux/toweros-7.efi") == contents.uki
    assert on_esp(disk, "/EFI/Linux/toweros-7.efi.extra.d/release.addon.efi") == contents.addon
    assert on_esp(disk, "/loader/loader.conf") == LOADER_CONF.encode()
    assert on_esp(disk, "/loader/keys/toweros/db.crt") == b"crt"


def test_the_file_systems_are_clean_and_hold_the_release(tmp_path: Path, store: Store) -> None:
    disk, contents = tmp_path / "disk.raw", some_contents(store)
    disk_image(disk, store, contents, SIZES)
    for label in ("TOWEROS", "STATE"):
        tool("e2fsck", "-fn", part(disk, label, tmp_path))
    toweros, out = tmp_path / "TOWEROS", tmp_path / "out"
    out.mkdir()
    tool("debugfs", "-R", f"rdump / {out}", toweros)
    release = contents.release
    assert (out / "releases" / f"{release.digest}.json").read_bytes() == release.encode()
    assert json.loads((out / "identity/box.json").read_bytes()) == {"box": "demo-1"}
    assert (out / "identity/box.key").read_bytes() == b"KEY"
    assert "Mode:  0600" in tool("debugfs", "-R", "stat /identity/box.key", toweros)
    assert (out / "tuf/root.json").read_bytes() == b"{}" and (out / "state").is_dir()
    for layer in release.layers():
        kept = (out / "layers" / layer.root).read_bytes()
        data = tmp_path / "data"
        data.write_bytes(kept[: layer.size])
        assert root_hash(data) == layer.root
        assert (len(kept) == layer.size) == (layer.size == BLOCK)


def test_the_same_input_gives_the_same_disk(tmp_path: Path, store: Store) -> None:
    digests = set()
    for name in ("one.raw", "two.raw"):
        disk_image(tmp_path / name, store, some_contents(store), SIZES)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_qcow2_holds_the_same_disk(tmp_path: Path, store: Store) -> None:
    if not shutil.which("qemu-img"):
        pytest.skip("needs qemu-img")
    disk_image(tmp_path / "disk.raw", store, some_contents(store), SIZES)
    disk_image(tmp_path / "disk.qcow2", store, some_contents(store), SIZES, Format.qcow2)
    assert "identical" in tool("qemu-img", "compare", tmp_path / "disk.raw", tmp_path / "disk.qcow2")


def test_a_failure_leaves_nothing_behind(tmp_path: Path, store: Store) -> None:
    contents = some_contents(store)
    layer = contents.release.layers()[1]
    store.layers.path(layer.root).write_bytes(bytes(layer.size))
    folder = tmp_path / "out"
    with pytest.raises(AssembleError, match="damaged"):
        disk_image(folder / "disk.raw", store, contents, SIZES)
    assert list(folder.iterdir()) == []
    store.layers.remove(layer.root)
    with pytest.raises(AssembleError, match="missing"):
        disk_image(folder / "disk.raw", store, contents, SIZES)


@pytest.mark.parametrize("sizes", [Sizes(esp=4), Sizes(48, 0, 16)])
def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path: Path, store: Store, sizes: Sizes) -> None:
    with pytest.raises(AssembleError):
        disk_image(tmp_path / "out" / "disk", store, some_contents(store), sizes)
    assert not (tmp_path / "out").exists()


def test_secrets_are_on_toweros_for_root_alone_and_not_on_the_esp(tmp_path: Path, store: Store) -> None:
    disk = tmp_path / "disk.raw"
    disk_image(disk, store, replace(some_contents(store), secrets={"site-7": b"correct horse"}), SIZES)
    toweros = part(disk, "TOWEROS", tmp_path)
    assert tool("debugfs", "-R", "cat /secrets/site-7", toweros) == "correct horse"
    for path, mode in (("/secrets", "0700"), ("/secrets/site-7", "0600")):
        assert f"Mode:  {mode}" in tool("debugfs", "-R", f"stat {path}", toweros)
    assert b"correct horse" not in part(disk, "ESP", tmp_path).read_bytes()
