"""A second build of a release: every digest again, or the parts that differ, by name."""

import gc
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.builders import Bases, Builder
from gitops.builders.places import Places
from gitops.errors import SourceError, TowerosError
from gitops.model import Claim, Image, Package, Tree
from gitops.model.provenance import LAYER
from gitops.publish import Publisher
from gitops.sign import Signer
from gitops.source.clone.commits import LocalClone
from gitops.store import Store
from gitops.workflows.provenance import rebuild
from gitops.workflows.provenance.rebuild import Comparison, SecondWitness, builders_of, lend_locked
from tests.kit.console import toweros
from tests.kit.pe import a_pe_file
from tests.kit.site import HELLO, PlayedBuilder, Site

FOREIGN = b"a layer of a registry"


class Builders(list[PlayedBuilder]):
    """The builders of all second builds; `instead` is what pkg/hello becomes there, if it is another."""

    instead = b""


@pytest.fixture
def builders(monkeypatch: pytest.MonkeyPatch) -> Builders:
    made = Builders()

    class Other(PlayedBuilder):
        def build(self, package: Package, tree: Tree, packages: Mapping[str, Package]) -> Image:
            image = super().build(package, tree, packages)
            if made.instead and package.path == "pkg/hello":
                image = Image(image.reference, image.key, {}, (self.store.blobs.put(made.instead).sha256,))
                self.store.builds.save_image(image)
            return image

    def builder(store: Store, lender: None, places: Places, bases: Bases, still: float) -> Builder:
        made.append(Other(store))
        return made[-1]

    monkeypatch.setattr(rebuild, "BuildahBuilder", builder)
    return made


def again(site: Site, name: str = "a", clone: Path | None = None) -> list[Comparison]:
    believed = builders_of(site.settings.keys)
    witness = SecondWitness(site.settings, site.settings.state, believed, LocalClone(clone or site.remote.work))
    return witness.rebuild(witness.find(name), site.folder)


def digest(site: Site, box: str = "a") -> str:
    return site.offers()[box]


def test_a_second_build_gives_every_digest_again_and_uses_nothing_of_the_first(site: Site, builders: Builders) -> None:
    site.run()
    site.commit({"README.md": "a later commit\n"})
    gc.collect()  # the first controller's database is closed now, not in the middle
    before = {path: path.stat().st_mtime_ns for path in site.settings.state.rglob("*") if path.is_file()}
    found = again(site)
    assert all(each.same for each in found)
    parts = ["kernel", "initrd", *(f"root layer {n}" for n in (1, 2, 3)), "content", "release.json"]
    assert [each.part for each in found] == [*parts, "uki.efi", "addon.efi", "loader.efi"]
    assert found[6].rebuilt == digest(site)
    assert {*builders[0].built} == {f"pkg/{n}" for n in ("toolbox", "initrd", "bootloader", "kernel", "init", "hello")}
    after = {path: path.stat().st_mtime_ns for path in site.settings.state.rglob("*") if path.is_file()}
    changed = {path.name for path in before if before[path] != after.get(path)}
    assert changed <= {"toweros.db", "toweros.db-shm", "toweros.db-wal"}, "SQLite's own, as connections come and go"
    assert not list(site.folder.glob(".plan-*")), "nothing of it stays"


def test_a_release_that_was_replaced_is_built_from_its_own_commit(site: Site, builders: Builders) -> None:
    site.run()
    old = digest(site)
    site.commit(HELLO)
    site.run()
    assert digest(site) != old
    for name in (f"sha256:{old}", digest(site)):
        assert all(each.same for each in again(site, name))
    config = site.folder / "toweros.toml"
    config.write_text(f'state = "{site.settings.state}"\nkeys = "{site.settings.keys}"\n')
    said = toweros("rebuild", "--check", old, "--config", config)
    assert said.exit_code == 0 and "nobody is offered" in said.stderr, "no metadata name its boot files"


def test_what_differs_is_named_with_both_digests(site: Site, builders: Builders) -> None:
    site.run()
    builders.instead = b"something else"
    different = [each for each in again(site) if not each.same]
    assert [each.part for each in different] == ["root layer 3", "content", "release.json", "addon.efi"]
    assert all(len({each.published, each.rebuilt}) == 2 for each in different)


def test_the_verb_fails_when_anything_differs(site: Site, builders: Builders) -> None:
    site.run()
    config = site.folder / "toweros.toml"
    config.write_text(f'state = "{site.settings.state}"\nkeys = "{site.settings.keys}"\n')
    words = ("rebuild", "a", "--dir", site.remote.work, "--config", config, "-o", "json")
    refused = toweros(*words)
    assert refused.exit_code == 1 and "only to compare" in str(refused.exception)
    own = toweros("rebuild", "--check", "a", "--config", config)
    assert own.exit_code == 0, "the controller's own clone will do"
    head = site.remote.git("rev-parse", "HEAD")
    believed = f"commit {head}, server {site.settings.server}"
    assert believed in " ".join(own.stderr.split()), "what it took the provenance's word for"
    good = toweros(*words, "--check")
    assert good.exit_code == 0, good.output
    builders.instead = b"something else"
    bad = toweros(*words, "--check")
    assert bad.exit_code == 1
    assert "4 of 10 parts differ: root layer 3, content, release.json, addon.efi" in str(bad.exception)
    rows = json.loads("[" + f"\n{bad.stdout}".rpartition("\n[\n")[2])
    (row,) = [row for row in rows if row["part"] == "release.json"]
    assert row["published"] == digest(site) != row["rebuilt"] and row["same"] is False


def test_what_nobody_we_believe_has_signed_is_not_built(site: Site, builders: Builders) -> None:
    site.run()
    subject = digest(site)
    signed = site.store.attestations.read(subject)
    assert signed
    site.store.attestations.path(subject).unlink()
    with pytest.raises(TowerosError, match="the release has no provenance"):
        again(site)
    signer = Signer.open(site.settings.keys)
    assert signer.builders
    other = Claim(LAYER, signer.builders.fleet, "d" * 40, {subject: subject})
    site.store.attestations.write(subject, signer.attest(other.encode()))
    with pytest.raises(TowerosError, match="of another kind of thing"):
        again(site)
    site.store.attestations.write(subject, signed.replace(b'"sig":"', b'"sig":"AAAA'))
    with pytest.raises(TowerosError, match="no builder that we believe"):
        again(site)
    assert builders == []


def test_a_boot_file_that_was_replaced_is_found_without_a_build(site: Site, builders: Builders) -> None:
    """Its digest is signed, so nobody can replace it but who lies about what was signed."""
    site.run()
    found = site.store.offers.published("a")
    assert found
    path = site.store.blobs.path(found.uki.sha256)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(TowerosError, match="damaged on disk"):
        again(site)
    assert builders == []


def test_a_boot_file_that_is_offered_and_that_the_builder_did_not_make_is_found_without_a_build(
    site: Site, builders: Builders
) -> None:
    """TUF's keys and db's sign anything; which files a box is offered is what the metadata say, not the provenance."""
    site.run()
    signer, good = Signer.open(site.settings.keys, site.store), site.store.offers.published("a")
    assert good
    other = site.store.blobs.put(signer.sign_boot(a_pe_file() + b"something else"))
    for name, bad in (("uki.efi", replace(good, uki=other)), ("addon.efi", replace(good, addon=other))):
        with site.store.lease.held():
            Publisher(site.store, signer).publish([bad])
        for asked in ("a", digest(site)):
            with pytest.raises(TowerosError, match=f"is about another {name}"):
                again(site, asked)
    assert builders == []


def test_a_commit_that_the_clone_lacks_is_said_with_a_way_out(site: Site, builders: Builders, tmp_path: Path) -> None:
    site.run()
    elsewhere = tmp_path / "elsewhere"
    site.remote.git("init", "-q", str(elsewhere))
    with pytest.raises(SourceError, match="is not in this clone") as caught:
        again(site, clone=elsewhere)
    assert "--dir" in caught.value.hint


def test_what_is_offered_to_nobody_and_a_folder_without_builders_are_said(site: Site, tmp_path: Path) -> None:
    site.run()
    with pytest.raises(TowerosError, match="nothing called zzz is offered"):
        again(site, "zzz")
    with pytest.raises(TowerosError, match="no provenance can be believed"):
        builders_of(tmp_path)


def test_locked_files_come_from_the_first_store_by_their_own_bytes_only(site: Site, tmp_path: Path) -> None:
    """A damaged one gets the name of what it is now, so nobody takes it for the one that is locked."""
    site.run()
    good, bad = site.store.blobs.put(b"a good file"), site.store.blobs.put(b"a bad file")
    site.store.blobs.path(bad.sha256).write_bytes(b"damaged")
    clean = Store.open(tmp_path / "clean")
    lend_locked(site.store.blobs, clean, [good.sha256, bad.sha256, "0" * 64])
    assert clean.blobs.has(good.sha256) and not clean.blobs.has(bad.sha256) and not clean.blobs.has("0" * 64)


def test_a_foreign_image_comes_from_the_first_store_if_it_is_whole(site: Site, tmp_path: Path) -> None:
    site.run()
    blobs = site.store.blobs
    config, layer = blobs.put(b"{}"), blobs.put(FOREIGN)
    rows = {"config": config, "layers": layer}
    named = {name: {"digest": f"sha256:{ref.sha256}", "size": ref.size} for name, ref in rows.items()}
    manifest = blobs.put(json.dumps({"config": named["config"], "layers": [named["layers"]]}).encode())
    assert rebuild.stored_image(blobs, manifest.sha256) == (manifest, config, layer)
    ours = {"digest": f"sha256:{manifest.sha256}", "platform": {"os": "linux", "architecture": "amd64"}}
    index = blobs.put(json.dumps({"manifests": [ours]}).encode())
    assert rebuild.stored_image(blobs, index.sha256) == (manifest, config, layer), "named by its index"
    outer = json.dumps({"manifests": [ours | {"digest": f"sha256:{index.sha256}"}]}).encode()
    assert rebuild.stored_image(blobs, blobs.put(outer).sha256) == (manifest, config, layer), "an index of indexes"
    blobs.path(layer.sha256).write_bytes(b"damaged")
    assert rebuild.stored_image(blobs, manifest.sha256) == ()
    assert rebuild.stored_image(blobs, "0" * 64) == ()


def test_what_is_made_of_an_earlier_commit_is_built_again_of_it_if_git_asked_for_that(
    site: Site, builders: Builders
) -> None:
    old = site.remote.git("rev-parse", "HEAD").strip()
    site.commit(HELLO)
    site.run()
    logins = "ssh-ed25519 AAAA ben\n"
    site.commit({"boxes/a.yaml": f"role: vm\npin: {old}\n", "keys/authorized_keys": logins})
    for box in "abc":
        site.report(box)
    assert "a" in site.run().published
    assert all(part.same for part in again(site))
    believed = builders_of(site.settings.keys)
    witness = SecondWitness(site.settings, site.settings.state, believed, LocalClone(site.remote.work))
    claim = witness.claim(witness.find("a"))
    assert claim.asked["pin"] == old
    built = {str(file["contents"]) for file in witness._fleet(claim).boxes["a"].files}
    assert logins in built, "who may log in is of the newest, as the controller makes it"
    for wrong in ({**claim.asked, "box": "b"}, {**claim.asked, "pin": "0" * 40}):
        with pytest.raises(TowerosError, match="does not ask for anything that is made of"):
            witness._fleet(replace(claim, asked=wrong))
