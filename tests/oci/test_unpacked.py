"""Layers are counted and hashed as they are unpacked, before anybody unpacks them."""

import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from gitops.errors import RegistryError
from gitops.model import AppImage, canonical, sha256
from gitops.oci.packed.checked import check_layers
from gitops.oci.packed.xz import whole
from gitops.process import run
from gitops.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "state")


def image(store: Store, *layers: bytes, said: tuple[bytes, ...]) -> AppImage:
    config = {"rootfs": {"diff_ids": [f"sha256:{sha256(each)}" for each in said]}}
    return AppImage(b"{}", canonical(config), tuple(map(store.blobs.put, layers)))


def test_however_a_layer_is_packed_it_is_what_the_config_says(store: Store) -> None:
    plain = b"one" * 100_000
    zstd = run(["zstd", "-qc"], stdin=plain)
    skipped = b"\x5a\x2a\x4d\x18\x04\0\0\0none"
    packed = (plain, gzip.compress(plain), bz2.compress(plain), lzma.compress(plain), zstd, skipped + zstd)
    check_layers(store, image(store, *packed, said=(plain,) * 6))
    for layer in packed:
        with pytest.raises(RegistryError, match="is not what its config says"):
            check_layers(store, image(store, layer, said=(b"a sibling's",)))


def test_a_layer_that_grows_without_end_is_left(store: Store) -> None:
    zeros = bytes(8 << 20)
    for packed in (gzip.compress(zeros), run(["zstd", "-qc"], stdin=zeros)):
        bomb = image(store, packed, packed, said=(zeros, zeros))
        check_layers(store, bomb, limit=16 << 20)
        with pytest.raises(RegistryError, match="more than 16777215 bytes"):
            check_layers(store, bomb, limit=(16 << 20) - 1)


def test_what_cannot_be_unpacked_is_refused(store: Store) -> None:
    plain = b"one" * 100
    cut = gzip.compress(plain)[:-9]
    torn = run(["zstd", "-qc"], stdin=plain)[:-1]
    wide = bytes.fromhex("28b52ffd00a8190000") + b"one"  # it asks for 2 GiB of memory
    zstd = "cannot be unpacked: zstd failed"
    for layer, said in ((cut, "cannot be unpacked"), (torn, zstd), (wide, zstd), (b"x", "does not say")):
        diff_ids = () if layer == b"x" else (plain,)
        with pytest.raises(RegistryError, match=said):
            check_layers(store, image(store, layer, said=diff_ids))


def wide(plain: bytes) -> bytes:
    """xz whose header asks for 1 GiB of memory."""
    return lzma.compress(plain, filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}])


def test_what_xz_packed_asks_for_no_more_memory_than_xz_9_does(store: Store) -> None:
    plain = b"one" * 100_000
    several = lzma.compress(plain[:7]) + bytes(8) + lzma.compress(plain[7:], preset=9) + bytes(4)
    check_layers(store, image(store, several, said=(plain,)))
    faults = {
        wide(plain): "asks for more than 128 MiB of memory",
        several[:-20]: "cut off",
        several + b"no stream at all": "format",
    }
    for packed, said in faults.items():
        with pytest.raises(RegistryError, match=f"cannot be unpacked: .*{said}"):
            check_layers(store, image(store, packed, said=(plain,)))


def test_what_zstd_packed_may_have_a_window_of_128_mib_and_hides_no_xz(store: Store) -> None:
    """zstd(1) goes on with xz behind a frame of its own, however much memory that asks for."""
    plain = b"one" * 100_000
    long = run(["zstd", "-qc", "--long=27", "-3"], stdin=plain)
    check_layers(store, image(store, long, said=(plain,)))
    hidden = run(["zstd", "-qc"], stdin=b"one") + wide(plain)
    with pytest.raises(RegistryError, match="cannot be unpacked: zstd failed"):
        check_layers(store, image(store, hidden, said=(b"one" + plain,)))


def test_a_bound_on_what_is_whole() -> None:
    assert whole(lzma.compress(b"abc"), 3) == b"abc"
    for packed, said in ((lzma.compress(b"abcd"), "more than 3 bytes"), (wide(b"a"), "128 MiB"), (b"", "cut off")):
        with pytest.raises(RegistryError, match=said):
            whole(packed, 3)
