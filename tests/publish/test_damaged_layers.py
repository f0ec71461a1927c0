"""A bad disk changes a byte of a layer after it was made: no signed release names what is there now, and what boxes
would fetch in its place is made again."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from gitops.model import Publication
from gitops.publish import transfers
from gitops.publish.transfers import pairs
from gitops.store.files import blobs, verity
from tests.kit.published import NOW, Kit
from tests.kit.site import HELLO, Site


def flip(path: Path, at: int = -9) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def offered(here: Kit, sequence: int, text: bytes) -> Publication:
    made = here.publication("demo-1", sequence, text)
    here.publisher.publish([made], now=NOW)
    here.store.offers.save_published(made, "key")
    return made


def test_no_release_is_signed_that_names_a_damaged_layer(here: Kit) -> None:
    """What was packed of it goes with it, for it may be damaged as well."""
    offered(here, 1, b"one" * 2000)
    made = here.publication("demo-1", 2, b"two" * 2000)
    assert here.publisher.refused([made]) == {}
    new = made.release.content.containers[0].layers[1]
    (pair,) = pairs(here.store.offers.published("demo-1").release, made.release)  # type: ignore[union-attr]
    layers = here.store.layers
    assert layers.delta(*pair).is_file() and layers.zst(new.root).is_file()
    flip(layers.path(new.root))
    assert here.publisher.refused([made]) == {
        "demo-1": f"layer {new.root} was damaged on disk; the next pass makes it again"
    }
    assert not any(each.exists() for each in (layers.path(new.root), layers.zst(new.root), layers.delta(*pair)))
    assert "is not in the store" in here.publisher.refused([made])["demo-1"]
    here.layer(b"two" * 2000)
    assert here.publisher.refused([made]) == {}
    assert layers.delta(*pair).is_file() and layers.zst(new.root).is_file()


def test_a_process_that_can_open_nothing_now_takes_no_good_layer_away(
    here: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many open files are no damage."""
    made = here.publication("demo-1", 1)

    def full(path: Path) -> str:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(blobs, "root_hash", full)
        assert "Too many open files" in here.publisher.refused([made])["demo-1"]
    assert all(here.store.layers.has(layer.root) for layer in made.release.layers())
    assert here.publisher.refused([made]) == {}


@pytest.mark.parametrize("name", ["document", "uki", "addon"])
def test_no_release_is_signed_whose_boot_files_are_damaged(here: Kit, name: str) -> None:
    made = here.publication("demo-1", 1)
    ref = getattr(made, name)
    flip(here.store.blobs.path(ref.sha256), -1)
    assert here.publisher.refused([made])["demo-1"].startswith(f"blob sha256:{ref.sha256} was damaged on disk")
    assert not here.store.blobs.has(ref.sha256)


@pytest.mark.parametrize("cut", [False, True], ids=["a byte", "cut short"])
def test_a_damaged_copy_or_delta_is_made_again_before_anybody_is_sent_to_it(here: Kit, cut: bool) -> None:
    old = offered(here, 1, b"".join(b"%d one" % number for number in range(9000)))
    made = here.publication("demo-1", 2, b"".join(b"%d two" % number for number in range(9000)))
    assert here.publisher.refused([made]) == {}
    (pair,), layers = pairs(old.release, made.release), here.store.layers
    good = {path: path.read_bytes() for path in (layers.zst(pair[1]), layers.delta(*pair))}
    for path, data in good.items():
        path.write_bytes(data[:-20]) if cut else flip(path, len(data) // 2)
    assert here.publisher.refused([made]) == {}
    patch = ["zstd", "-dcq", f"--patch-from={layers.path(pair[0])}", str(layers.delta(*pair))]
    assert subprocess.run(patch, capture_output=True, check=True).stdout == layers.path(pair[1]).read_bytes()
    assert {path: path.read_bytes() for path in good} == good


def test_a_damaged_delta_that_is_packed_twice_is_packed_again(here: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "TWICE_LEAST", 1)
    old = offered(here, 1, b"one" + bytes(40 << 20))
    made = here.publication("demo-1", 2, b"two" + bytes(40 << 20))
    assert here.publisher.refused([made]) == {}
    (pair,) = pairs(old.release, made.release)
    twice = here.store.layers.twice(*pair)
    good = twice.read_bytes()
    flip(twice)
    assert here.publisher.refused([made]) == {}
    assert twice.read_bytes() == good


def test_what_nobody_touched_is_read_once(here: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A box that waits for its turn is judged with each pass."""
    read, packed = list[str](), list[object]()

    def reads(path: Path) -> str:
        read.append(path.name)
        return verity.root_hash(path)

    def packs(*words: object) -> None:
        packed.append(words)
        zstd(*words)

    zstd = transfers._zstd
    monkeypatch.setattr("gitops.store.files.blobs.root_hash", reads)
    monkeypatch.setattr("gitops.publish.transfers._zstd", packs)
    offered(here, 1, b"one")
    made = here.publication("demo-1", 2, b"two")
    assert here.publisher.refused([made]) == {}
    assert len(read) == 3 == len({*read}), "each layer"
    here.publisher.refused([made])
    once = len(packed)
    for _ in range(5):
        assert here.publisher.refused([made]) == {}
    here.publisher.refresh(now=NOW)
    assert len(read) == 3 and len(packed) == once


def test_the_next_pass_makes_a_damaged_layer_again_and_its_box_is_offered_it(site: Site) -> None:
    """From the commit to the offer: a layer of the release before was damaged, and the new release has it as well."""
    site.run()
    for box in "abc":
        site.report(box)
    before = site.store.offers.published("a")
    assert before
    shared = before.release.content.root[0].root
    flip(site.store.layers.path(shared))
    site.commit(HELLO)
    held = site.run().held
    assert f"layer {shared} was damaged on disk; the next pass makes it again" in str(held["a"]), held
    assert site.store.offers.published("a") == before
    site.run()
    after = site.store.offers.published("a")
    assert after and after.release.sequence > before.release.sequence
    assert shared in {layer.root for layer in after.release.layers()}
    assert all(site.store.layers.proven(layer) for layer in after.release.layers())
