"""What is inside is looked up once, kept as long as a box may ask for it, and never guessed."""

import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from gitops.errors import BuildError, StoreError
from gitops.model import AppImage, Image, Inventory, Package
from gitops.server import create_app
from gitops.store import Store
from gitops.store.collect import collect
from gitops.store.notes.documents import AppImageBlobs, BoxInventories, InventoryDocuments, LayerInventories, PartIndex
from gitops.workflows.security import inventories
from gitops.workflows.security.inventories import Inventories
from tests.kit.console import toweros
from tests.kit.debs import deb, locked
from tests.kit.oci import image, tar
from tests.kit.site import HELLO, Site

LATER = time.time() + 1e6


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "s")
    with store.lease.held():
        yield store


@pytest.fixture
def packages(store: Store, tmp_path: Path) -> dict[str, Package]:
    """A base, and a package that stands on it and was made with a tool."""
    tool = locked(store, deb(tmp_path, "compiler", {"usr/bin/cc": b"cc"}))
    libc = locked(store, deb(tmp_path, "libc6", {"lib/libc.so": b"libc"}))
    sshd = locked(
        store, deb(tmp_path, "sshd", {"usr/sbin/sshd": b"sshd"}), deb(tmp_path, "doc", {"usr/share/doc/x": b"x"})
    )
    layers = {"usr/lib/libc.so": b"libc"}, {"usr/sbin/sshd": b"sshd", "etc/own": b"own"}
    built = {
        "pkg/toolbox": image(store, "toolbox", {"usr/bin/cc": b"cc"}),
        "pkg/base": image(store, "base", layers[0]),
        "pkg/sshd": image(store, "sshd", *layers),
    }
    locks = {"pkg/toolbox": tool, "pkg/base": libc, "pkg/sshd": sshd}
    depends = {"pkg/base": ("pkg/toolbox",), "pkg/sshd": ("pkg/base", "pkg/toolbox")}
    return {
        path: Package(path, path, path, made.key, depends.get(path, ()), lock=locks[path])
        for path, made in built.items()
    }


def names(found: Inventory) -> list[str]:
    return [component.name for component in found.components]


def test_a_package_has_its_own_and_its_bases_components_and_no_tools(
    store: Store, packages: dict[str, Package]
) -> None:
    found = Inventories(store, packages).of_package("pkg/sshd")
    assert names(found) == ["libc6", "sshd"] and [file.path for file in found.files] == ["etc/own"]


def test_what_was_found_is_not_looked_for_again_until_it_is_lost(
    store: Store, packages: dict[str, Package], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Inventories(store, packages).of_package("pkg/sshd")
    note = store.notes.get(LayerInventories, packages["pkg/sshd"].key)
    assert note and len(note.rows) == 1, "the base's layer is the base's"
    with monkeypatch.context() as patch:
        patch.setattr(inventories, "inventories", lambda *_: pytest.fail("looked again"))
        assert Inventories(store, packages).of_package("pkg/sshd") == found
    for ref in note.rows.values():
        store.blobs.remove(ref.sha256)
    assert Inventories(store, packages).of_package("pkg/sshd") == found


def test_what_is_not_built_is_an_error_and_not_empty(store: Store, packages: dict[str, Package]) -> None:
    store.builds.forget_image(packages["pkg/sshd"].key)
    with pytest.raises(BuildError, match="pkg/sshd is not built"):
        Inventories(store, packages).of_package("pkg/sshd")


def test_a_base_of_others_is_known_by_its_database_as_the_package_left_it(store: Store, tmp_path: Path) -> None:
    """apk and dpkg list what is there: what the package took out is gone, what it brought is listed beside."""
    status = "Package: {0}\nStatus: install ok installed\nVersion: 1\n\n"
    theirs = tar({"var/lib/dpkg/status": "".join(map(status.format, ("libssl3", "perl"))).encode(), "etc/theirs": b"x"})
    own = tar({"var/lib/dpkg/status": status.format("libssl3").encode(), "usr/sbin/sshd": b"sshd", "etc/own": b"own"})
    below, above = store.blobs.put(theirs), store.blobs.put(own)
    packed = store.blobs.put(gzip.compress(theirs))
    config = json.dumps({"rootfs": {"diff_ids": [f"sha256:{below.sha256}"]}}).encode()
    refs = (store.blobs.put(b"{}"), store.blobs.put(config), packed)
    store.notes.put(AppImageBlobs(refs), "ab" * 32)
    sshd = locked(store, deb(tmp_path, "sshd", {"usr/sbin/sshd": b"sshd"}))
    base = f"web.example/debian:13@sha256:{'ab' * 32}"
    package = Package("pkg/own", "own", "own:1", "k" * 64, lock=sshd, bases=(base,))
    store.builds.save_image(Image("own:1", "k" * 64, {}, (below.sha256, above.sha256)))
    found = Inventories(store, {"pkg/own": package}).of_package("pkg/own")
    assert names(found) == ["libssl3", "sshd"] and not found.unread
    assert "etc/theirs" not in {file.path for file in found.files}, "it is theirs, as far as anybody knows"
    collect(store, [package], now=LATER, grace=0)
    assert all(store.blobs.has(ref.sha256) for ref in refs), "what the fleet is built on stays"
    assert Inventories(store, {"pkg/own": package}).of_package("pkg/own") == found
    collect(store, [replace(package, bases=())], now=LATER, grace=0)
    assert not store.blobs.has(packed.sha256)


def test_a_foreign_image_that_is_not_here_is_unknown(store: Store) -> None:
    name = f"example.org/x@sha256:{'0' * 64}"
    assert "unknown inside" in Inventories(store, {}).of_foreign(name).unread[0]


def test_a_foreign_image_says_what_its_database_says(store: Store) -> None:
    layer = store.blobs.put(tar({"lib/apk/db/installed": b"P:musl\nV:1.2-r1\n"}))
    whole = AppImage(b"{}", b"{ }", (layer,))
    refs = (store.blobs.put(whole.manifest), store.blobs.put(whole.config), layer)
    store.notes.put(AppImageBlobs(refs), whole.digest)
    found = Inventories(store, {}).of_foreign(f"example.org/x@sha256:{whole.digest}")
    assert names(found) == ["musl"]
    store.blobs.remove(layer.sha256)
    assert Inventories(store, {}).of_foreign(f"x@sha256:{whole.digest}") == found, "out of the store"


def test_a_pass_writes_the_documents_of_each_release_and_the_server_has_them(site: Site) -> None:
    site.run()
    digest = site.offers()["a"]
    with TestClient(create_app(site.store, site.settings)) as client:
        for kind in ("cdx", "spdx"):
            answer = client.get(f"/sbom/{digest}.{kind}.json")
            assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"]
            assert kind in answer.headers["content-type"] or "cyclonedx" in answer.headers["content-type"]
            assert json.loads(answer.content)
        for wrong in (f"/sbom/{'0' * 64}.cdx.json", f"/sbom/{digest}.xml", "/sbom/../id", f"/sbom/{digest}"):
            assert client.get(wrong).status_code == 404, wrong


def test_a_release_goes_out_though_nobody_can_list_what_is_inside(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fix must not wait for its list; a full disk or a lost lease stops everything, as ever."""
    monkeypatch.setattr(inventories, "inventories", lambda *_: 1 / 0)
    site.run()
    assert site.offers()["a"]
    monkeypatch.setattr(Inventories, "of_package", lambda *_: (_ for _ in ()).throw(StoreError("disk full")))
    site.commit(HELLO)
    with pytest.raises(StoreError, match="disk full"):
        site.run()


def test_boxes_with_equal_images_share_one_inventory_and_its_documents(site: Site) -> None:
    site.run()
    boxes = site.store.notes.each(BoxInventories)
    assert (
        sorted(boxes) == ["a", "b", "c"] and len({digest for box in boxes.values() for _, digest in box.releases}) == 1
    )
    assert len(site.store.notes.each(InventoryDocuments)) == 1


def test_collection_keeps_what_boxes_may_ask_for_and_forgets_the_rest(site: Site) -> None:
    site.run()
    before = site.offers()["a"]
    for number in range(inventories.KEPT):
        site.commit({"pkg/hello/file": f"hello {number}\n"})
        site.run()
    (kept,) = {each.releases for each in site.store.notes.each(BoxInventories).values() if len(each.releases) > 1} or {
        ()
    }
    assert len(kept) <= inventories.KEPT
    stray = site.store.blobs.put(Inventory(unread=("nobody's",)).encode())
    with site.store.lease.held():
        collect(site.store, (), now=LATER, grace=0)
    assert not site.store.blobs.has(stray.sha256)
    with TestClient(create_app(site.store, site.settings)) as client:
        assert client.get(f"/sbom/{site.offers()['a']}.cdx.json").status_code == 200
        assert site.offers()["a"] == before or client.get(f"/sbom/{before}.cdx.json").status_code == 404


def test_collection_keeps_what_was_read_of_files_that_are_locked(store: Store, packages: dict[str, Package]) -> None:
    Inventories(store, packages).of_package("pkg/sshd")
    digests = {digest: note.sha256 for digest, note in store.notes.each(PartIndex).items()}
    assert digests.keys() == {file.sha256 for package in packages.values() for file in package.lock}
    collect(store, packages.values(), now=LATER, grace=0)
    assert all(map(store.blobs.has, digests.values()))
    collect(store, [packages["pkg/base"]], now=LATER, grace=0)
    kept = {digest for digest, index in digests.items() if store.blobs.has(index)}
    assert kept == {packages["pkg/base"].lock[0].sha256}


def test_the_verb_says_what_is_not_built_and_what_nobody_knows(site: Site) -> None:
    state, folder = site.settings.state, site.remote.work
    assert "nothing is built yet" in str(toweros("sbom", "a", "--state", state.parent / "none").exception)
    site.run()
    shown = toweros("sbom", "vm", "--state", state, "--dir", folder)
    assert shown.exit_code == 0 and "not complete" in shown.output
    wrong = toweros("sbom", "vn", "--state", state, "--dir", folder)
    assert "there is no box, role or package 'vn'" in str(wrong.exception)
    site.commit(HELLO)
    unbuilt = toweros("sbom", "pkg/hello", "--state", state, "--dir", folder)
    assert "pkg/hello is not built" in str(unbuilt.exception)
    written = toweros("sbom", "a", "--state", state, "--config", folder / "none.toml", "-o", "cyclonedx")
    assert written.exit_code != 0, "settings that are not there"


def test_a_working_folder_and_what_is_deployed_give_the_same_document(site: Site) -> None:
    site.run()
    words = "sbom", "a", "--state", site.settings.state
    deployed = toweros(*words, "-o", "cyclonedx")
    assert json.loads(deployed.stdout)["specVersion"] == "1.6"
    assert toweros(*words, "-o", "cyclonedx", "--dir", site.remote.work).stdout == deployed.stdout
