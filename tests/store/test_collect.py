"""What a box runs or is asked to run stays; the rest goes when it is old enough."""

import os
from pathlib import Path

from gitops.model import (
    Content,
    Health,
    HealthSpec,
    Image,
    Layer,
    LockedFile,
    Package,
    Phase,
    Publication,
    Release,
    Report,
    Revision,
)
from gitops.store import Store
from gitops.store.collect import collect
from gitops.store.notes.netboot import BootSet, BootSets
from tests.kit.databases import both

pytestmark = both
GRACE = 1000
NOW = 1_000_000


def a_layer(store: Store, tmp_path: Path, name: str) -> Layer:
    root = name * 64
    (tmp_path / name).write_bytes(b"x" * 4096)
    store.layers.add(tmp_path / name, root)
    store.layers.zst(root).write_bytes(b"z")
    return Layer(root, 4096)


def a_publication(store: Store, sequence: int, layer: Layer) -> Publication:
    blob = store.blobs.put(b"boot file %d" % sequence)
    release = Release("demo-1", sequence, Content(blob, blob, "", (layer,), (), HealthSpec()))
    return Publication(release, Revision("main", "c" * 40, sequence, 0), store.blobs.put(release.encode()), blob, blob)


def age(store: Store, seconds: int) -> None:
    for path in store.paths.root.rglob("*"):
        os.utime(path, (NOW - seconds, NOW - seconds))


def test_running_and_wanted_stay_and_the_rest_goes(tmp_path: Path, database: str) -> None:
    store = Store.open(tmp_path / "state", database)
    running, wanted, _old = (a_layer(store, tmp_path, name) for name in "abc")
    first, second = a_publication(store, 1, running), a_publication(store, 2, wanted)
    store.offers.save_published(second, "key")
    store.boxes.save_report(Report("demo-1", "b", 1, 0, "1", 1, first.document.sha256, "", Phase.IDLE, Health.HEALTHY))
    locked = store.blobs.put(b"a deb")
    tar = store.blobs.put(b"a tar")
    junk = store.blobs.put(b"junk")
    file = LockedFile("deb", "a", "1", locked.sha256, 5, "pool/a.deb")
    package = Package("pkg/a", "a", "a:1", "k" * 64, lock=(file,))
    store.builds.save_image(Image("a:1", package.key, {}, (tar.sha256,)))
    store.builds.save_image(Image("a:0", "o" * 64, {}, (junk.sha256,)))
    age(store, GRACE - 1)
    assert collect(store, [package], now=NOW, grace=GRACE).files == 0, "young files stay"
    age(store, GRACE + 1)
    gone = collect(store, [package], now=NOW, grace=GRACE)
    assert gone.files == 4 and gone.size == 4096 + 1 + len(b"junk") + len(b"boot file 1")
    assert store.layers.names() == {running.root, wanted.root}
    assert store.blobs.has(locked.sha256) and store.blobs.has(tar.sha256) and not store.blobs.has(junk.sha256)
    assert store.blobs.has(first.document.sha256), "a box still runs it"
    assert store.builds.image_keys() == {package.key}
    assert collect(store, [package], now=NOW, grace=GRACE).files == 0


def test_what_starts_a_box_by_the_network_stays_with_the_release_that_it_may_fall_back_to(
    tmp_path: Path, database: str
) -> None:
    store = Store.open(tmp_path / "state", database)
    layer, gone = a_layer(store, tmp_path, "a"), a_layer(store, tmp_path, "b")
    old = a_publication(store, 1, layer)
    image, kernel, initrd = (store.blobs.put(name.encode()) for name in ("image", "kernel", "initrd"))
    lost = store.blobs.put(b"nobody's")
    made = BootSet(old.release.digest, 1, "x", image, kernel, initrd, "quiet", "", True)
    store.notes.put(BootSets((made,)), "demo-1")
    age(store, GRACE + 1)
    collect(store, [], now=NOW, grace=GRACE)
    kept = (image, kernel, initrd, old.document)
    assert all(store.blobs.has(ref.sha256) for ref in kept) and not store.blobs.has(lost.sha256)
    assert store.layers.has(layer.root) and not store.layers.has(gone.root)
