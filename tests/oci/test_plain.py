"""An image of others becomes plain layers, however it was packed; what lies about itself becomes nothing."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.errors import RegistryError
from gitops.model import AppImage, canonical, sha256
from gitops.oci import plain
from gitops.oci.plain import unpacked_image
from gitops.store import Store
from gitops.store.files.blobs import arriving
from tests.kit.images import Made, made, skippable, zstd
from tests.kit.oci import tar

TAR = tar({"etc/x": b"x" * 5000, "bin/y": b"y"})
HALF = len(TAR) // 2
NAME = "web.example/ntp@sha256:..."


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "state")


def here(store: Store, one: Made) -> AppImage:
    """As pulling leaves it."""
    config, *layers = one.blobs
    return AppImage(one.manifest, config, tuple(store.blobs.put(layer) for layer in layers))


@pytest.mark.parametrize(
    "pack",
    [
        bytes,
        gzip.compress,
        lambda data: gzip.compress(data[:HALF]) + gzip.compress(data[HALF:]),
        zstd,
        lambda data: zstd(data[:HALF]) + skippable(b"toc") + zstd(data[HALF:]) + skippable(b"footer"),
        lambda data: skippable(b"first") + zstd(data),
        bz2.compress,
        lzma.compress,
    ],
    ids=["plain", "gzip", "gzip of many members", "zstd", "zstd:chunked", "zstd after a frame to skip", "bzip2", "xz"],
)
def test_layers_are_the_same_however_they_were_packed(store: Store, pack: Callable[[bytes], bytes]) -> None:
    config = {"Env": ["A=b"], "Labels": {"org.mobyproject.config": "{}"}, "ExposedPorts": {"80/tcp": {}}}
    image = unpacked_image(store, NAME, here(store, made([TAR], pack=pack, config=config)))
    assert image.layers == (sha256(TAR),) and store.blobs.read(sha256(TAR)) == TAR and image.config == config


def leftovers(store: Store) -> list[str]:
    return [path.name for path in store.blobs.path("0" * 64).parent.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("pack", "said"),
    [
        (lambda data: gzip.compress(data)[:-20], "cannot be unpacked"),
        (lambda data: zstd(data)[:-6], "cannot be unpacked"),
        (lambda data: gzip.compress(data) + b"more", "cannot be unpacked"),
        (lambda data: zstd(data) + b"more", "cannot be unpacked"),
        (lambda _: gzip.compress(b"another"), "is not what its config says"),
        (lambda _: zstd(b"another"), "is not what its config says"),
        (lambda data: data + b"\0", "is not what its config says"),
    ],
    ids=["gzip cut", "zstd cut", "gzip and more", "zstd and more", "other gzip", "other zstd", "other tar"],
)
def test_what_is_not_what_it_says_is_not_kept(store: Store, pack: Callable[[bytes], bytes], said: str) -> None:
    with pytest.raises(RegistryError, match=f"its layer [0-9a-f]{{12}} {said}"):
        unpacked_image(store, NAME, here(store, made([TAR], pack=pack)))
    assert not store.blobs.has(sha256(TAR)) and leftovers(store) == []


def measured(written: list[int]) -> Callable[[Path], AbstractContextManager[Path]]:
    """`arriving`, which tells how large the file was when it went."""

    @contextmanager
    def watched(target: Path) -> Iterator[Path]:
        with arriving(target) as new:
            try:
                yield new
            finally:
                written.append(new.stat().st_size)

    return watched


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_a_bomb_is_unpacked_no_further_than_the_bound(
    store: Store, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    bomb = bytes(8 << 20)
    image, written = here(store, made([bomb], pack=pack)), list[int]()
    monkeypatch.setattr(plain, "arriving", measured(written))
    with pytest.raises(RegistryError, match="more than 1048576 bytes"):
        unpacked_image(store, NAME, image, limit=1 << 20)
    assert max(written) <= 2 << 20 and not store.blobs.has(sha256(bomb)) and leftovers(store) == []


def test_the_bound_is_one_for_all_layers(store: Store) -> None:
    image = here(store, made([bytes(700), bytes(701)]))
    with pytest.raises(RegistryError, match="more than 1400 bytes"):
        unpacked_image(store, NAME, image, limit=1400)
    assert unpacked_image(store, NAME, image, limit=1401)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"Env": 5}, "Env of its config"),
        ({"Cmd": ["a", 1]}, r"Cmd\.1 of"),
        ({"Labels": {"a": None}}, r"Labels\.a of"),
        (["x"], "config of its config"),
    ],
)
def test_a_config_that_no_engine_reads_is_told_by_its_member(store: Store, config: object, said: str) -> None:
    image = here(store, made([TAR]))
    changed = replace(image, config=canonical(json.loads(image.config) | {"config": config}))
    with pytest.raises(RegistryError, match=said):
        unpacked_image(store, NAME, changed)


def test_a_config_must_say_what_its_layers_are(store: Store) -> None:
    image = here(store, made([TAR]))
    for rootfs in ({}, {"diff_ids": []}, {"diff_ids": ["sha512:x"]}, None):
        changed = replace(image, config=canonical(json.loads(image.config) | {"rootfs": rootfs}))
        with pytest.raises(RegistryError, match="does not say what its layers are"):
            unpacked_image(store, NAME, changed)


def test_an_image_without_layers_is_an_empty_one(store: Store) -> None:
    assert unpacked_image(store, NAME, here(store, made([]))).layers == ()
