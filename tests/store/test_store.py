"""The store keeps what it is given, whole or not at all, and says so when it is damaged."""

from dataclasses import replace
from pathlib import Path

import pytest

from gitops.errors import StoreError
from gitops.model import (
    BlobRef,
    Content,
    Failure,
    Health,
    HealthCheck,
    HealthSpec,
    Image,
    Layer,
    Mounted,
    Phase,
    Publication,
    Release,
    Report,
    Revision,
    Verdict,
    sha256,
)
from gitops.store import Store
from tests.kit.databases import both

pytestmark = both
ROOT = "ab" * 32


@pytest.fixture
def store(tmp_path: Path, database: str) -> Store:
    return Store.open(tmp_path / "state", database)


def a_publication(box: str = "demo-1") -> Publication:
    layer = Layer(ROOT, 8192)
    health = HealthSpec(30, (HealthCheck("hello", "http", "http://127.0.0.1:8080/"),))
    content = Content(
        BlobRef(ROOT, 1), BlobRef(ROOT, 2), "quiet", (layer,), (Mounted("services/a", "rootfs", (layer,)),), health
    )
    blobs = [BlobRef(str(n) * 64, n) for n in range(1, 4)]
    return Publication(Release(box, 7, content), Revision("main", "c" * 40, 7, 1, "x", ("ada",)), *blobs)


def a_report(**changes: object) -> Report:
    failure = Failure(6, ROOT, Verdict.FAILED, "health check hello: status 500")
    report = Report("demo-1", "boot-1", 1, 100, "1", 7, ROOT, ROOT, Phase.IDLE, Health.HEALTHY, failures=(failure,))
    return replace(report, **changes)  # type: ignore[arg-type]


def test_a_blob_is_found_by_its_digest(store: Store, tmp_path: Path) -> None:
    ref = store.blobs.put(b"hello")
    (tmp_path / "file").write_bytes(b"hello")
    assert store.blobs.put_file(tmp_path / "file", move=True) == ref
    assert store.blobs.read(ref.sha256) == b"hello"
    assert not (tmp_path / "file").exists()


def test_a_damaged_blob_is_not_handed_out(store: Store) -> None:
    ref = store.blobs.put(b"hello")
    store.blobs.path(ref.sha256).write_bytes(b"jello")
    with pytest.raises(StoreError, match="damaged"):
        store.blobs.read(ref.sha256)


def test_a_name_that_is_no_digest_never_becomes_a_path(store: Store) -> None:
    for name in ("../../etc/passwd", "", "AB" * 32, ROOT + "\n"):
        with pytest.raises(StoreError, match="not a digest"):
            store.blobs.path(name)


def test_a_writer_that_dies_midway_leaves_nothing(store: Store, tmp_path: Path) -> None:
    from gitops.store.files.blobs import arriving

    with pytest.raises(RuntimeError):
        with arriving(tmp_path / "target") as new:
            new.write_bytes(b"half")
            raise RuntimeError("power")
    assert list(tmp_path.glob("*target*")) == [] and list(tmp_path.glob(".new-*")) == []


def test_nouns_come_back_as_they_went_in(store: Store) -> None:
    image = Image("toweros/a:1", "k" * 64, {"Env": ["A=b"]}, ("d" * 64,))
    store.builds.save_image(image)
    store.offers.save_published(a_publication(), "key-1")
    store.boxes.save_report(a_report())
    assert store.builds.image(image.key) == image
    assert store.offers.published("demo-1") == a_publication()
    assert [*store.offers.each()] == [a_publication()]
    assert [(made.box, made.key) for made in store.offers.made()] == [("demo-1", "key-1")]
    assert store.boxes.report("demo-1") == a_report()
    assert (
        store.builds.image("z" * 64) is None and store.offers.published("x") is None and store.boxes.report("x") is None
    )


def test_a_promoted_candidate_is_what_is_offered_and_its_revision_is_remembered(store: Store) -> None:
    publication = a_publication()
    store.offers.save_candidate(publication, "key-2")
    store.offers.promote(["demo-1"])
    assert store.offers.published("demo-1") == publication and not store.offers.waiting(sequence=99)
    assert [(made.box, made.key) for made in store.offers.made()] == [("demo-1", "key-2")]
    store.offers.save_published(replace(publication, document=BlobRef("9" * 64, 1)), "key-3")
    store.boxes.save_report(a_report(release=publication.document.sha256, failures=()))
    state = store.states.one("demo-1")
    assert state is not None and state.running.revision == str(publication.revision)


def test_what_waits_for_a_later_revision_than_asked_for_is_left_out(store: Store) -> None:
    store.offers.save_candidate(a_publication(), "key")
    assert store.offers.waiting(sequence=7) == {"demo-1"} and store.offers.waiting(sequence=6) == frozenset()
    assert store.offers.candidates(["demo-1", "nobody"]) == [a_publication()] and store.offers.candidates([]) == []


def test_a_layer_whose_file_is_gone_is_made_again(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "image"
    file.write_bytes(b"erofs")
    store.layers.add(file, ROOT)
    store.builds.save_layer(sha256(b"tar"), 1, Layer(ROOT, 4096))
    assert store.builds.layer(sha256(b"tar"), 1) == Layer(ROOT, 4096)
    assert store.builds.layer(sha256(b"tar"), 2) is None
    store.layers.remove(ROOT)
    assert store.builds.layer(sha256(b"tar"), 1) is None


def test_a_replayed_report_is_not_taken(store: Store) -> None:
    assert store.boxes.save_report(a_report(counter=2))
    assert not store.boxes.save_report(a_report(counter=2))
    assert not store.boxes.save_report(a_report(counter=1, health=Health.DEGRADED))
    assert store.boxes.save_report(a_report(boot_id="boot-2", counter=1))
    assert not store.boxes.save_report(a_report(counter=2)), "an older boot cannot speak again"


def test_since_when_moves_only_when_something_changed(store: Store) -> None:
    store.boxes.enroll("demo-1", "00" * 32)
    store.boxes.save_report(a_report(counter=1), now=100)
    store.boxes.save_report(a_report(counter=2, time=200), now=200)
    state = store.states.one("demo-1")
    assert state is not None and (state.received, state.since) == (200, 100)
    store.boxes.save_report(a_report(counter=3, health=Health.DEGRADED), now=300)
    state = store.states.one("demo-1")
    assert state is not None and state.since == 300


def test_two_controllers_cannot_hold_one_store(store: Store, database: str) -> None:
    with store.lease.held():
        with pytest.raises(StoreError, match="another controller"):
            with Store.open(store.paths.root, database).lease.held():
                pass
