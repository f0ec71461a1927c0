"""What a controller says of its own work: once, signed, of this fleet; and what keeps it from locking its boxes out."""

import shutil
import time
from pathlib import Path

import pytest

from gitops import __version__
from gitops.errors import SignError
from gitops.fleet import load_fleet
from gitops.fleet.packages.lockfile import HEADER
from gitops.model import Claim, Publication, sha256
from gitops.model.provenance import LAYER, RELEASE
from gitops.sign import Signer, keys
from gitops.sign.envelope import signed_by, unseal
from gitops.source import FolderTree
from gitops.store.collect import collect
from gitops.store.notes.documents import BuiltAt
from gitops.workflows.provenance import witness
from gitops.workflows.provenance.check import of_release
from tests.kit.site import HELLO, PlayedBuilder, Site

LOCK = "deb thing\n"
ARMOUR = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----\n"


def files(site: Site) -> dict[str, bytes]:
    """Every attestation, by its subject."""
    return {path.stem: path.read_bytes() for path in site.store.paths.attestations.glob("*.json")}


def claim(site: Site, subject: str) -> Claim:
    believed = Signer.open(site.settings.keys).builders
    data = site.store.attestations.read(subject)
    assert believed and data
    return Claim.parse(unseal(data, believed.keys))


def offered(site: Site, box: str = "a") -> Publication:
    found = site.store.offers.published(box)
    assert found
    return found


def layer_of(site: Site, package: str) -> Claim:
    """The claim of the one layer that a package's own image has."""
    found = [claim(site, each.root) for each in offered(site).release.layers()]
    (only,) = [each for each in found if each.asked.get("package") == package]
    return only


def head(site: Site) -> str:
    return site.remote.git("rev-parse", "HEAD").strip()


def test_every_release_and_layer_says_where_it_is_from(site: Site) -> None:
    site.run()
    release = offered(site).release
    subjects = {each.root for each in release.layers()} | {offered(site, box).document.sha256 for box in "abc"}
    assert files(site).keys() == subjects
    hello = layer_of(site, "pkg/hello")
    assert (hello.kind, hello.commit, hello.version) == (LAYER, head(site), __version__)
    assert hello.builder == "urn:toweros:builder:buildah" and hello.inner["adopted"] is False
    assert (hello.asked["platform"], hello.asked["recipe"]) == ("linux/amd64", 1)
    assert [each.name for each in hello.materials] == ["pkg/toolbox"]
    said = claim(site, offered(site).document.sha256)
    assert (said.kind, said.commit, said.asked["box"]) == (RELEASE, head(site), "a")
    assert said.subjects["uki.efi"] == offered(site).uki.sha256
    assert [each.digest for each in said.materials if each.name == "layer"] == [each.root for each in release.layers()]
    assert hello.fleet == said.fleet == keys.guid(site.settings.keys)


def test_with_recipe_2_a_layer_says_the_same(site: Site) -> None:
    """Its layers are those of recipe 1, and were looked for among those of 2."""
    site.commit({"fleet.yaml": "recipe: 2\n"})
    site.run()
    assert [each.name for each in layer_of(site, "pkg/hello").materials] == ["pkg/toolbox"]


def test_a_commit_that_changes_nothing_makes_nothing_again(site: Site) -> None:
    site.run()
    before, offers = files(site), site.offers()
    site.commit({"README.md": "hello\n"})
    site.run()
    assert files(site) == before and site.offers() == offers


def test_a_change_claims_what_is_new_and_leaves_the_rest(site: Site) -> None:
    site.run()
    before, first = files(site), head(site)
    site.commit(HELLO)
    site.run()
    assert before.items() <= files(site).items(), "no statement is made twice"
    assert layer_of(site, "pkg/hello").commit == head(site) != first
    assert layer_of(site, "pkg/init").commit == first


def test_a_layer_says_the_commit_at_which_its_package_was_built(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The build of one package failed at the first commit; the others were built there, and their layers come later."""
    monkeypatch.setattr(PlayedBuilder, "build", _fails(PlayedBuilder.build, "pkg/toolbox"))
    with pytest.raises(Exception, match="pkg/toolbox: no"):
        site.run()
    first = head(site)
    monkeypatch.undo()
    monkeypatch.setattr("gitops.assemble.release.Assembler.assemble", _assemble)
    monkeypatch.setattr("gitops.assemble.toolbox.Toolbox.unpack", lambda *_: None)
    site.commit({"README.md": "more\n"})
    site.run()
    assert layer_of(site, "pkg/hello").commit == first != head(site)


def _fails(build: object, name: str) -> object:
    def fail(self: PlayedBuilder, package: object, tree: object, packages: object) -> object:
        self.fail = name
        return build(self, package, tree, packages)  # type: ignore[operator]

    return fail


def _assemble(self: object, box: object, revision: object, _server: str) -> object:
    return PlayedBuilder(self._store).assemble(box, self._images, revision)  # type: ignore[attr-defined,arg-type]


def test_an_older_controllers_layers_are_adopted_and_say_so(site: Site) -> None:
    builder = site.settings.keys / "builder.pem"
    builder.rename(builder.with_suffix(".away"))
    assert site.run().plan.boxes and site.run().plan.empty
    assert files(site) == {} and site.offers(), "without a builder's key all goes on as before"
    builder.with_suffix(".away").rename(builder)
    site.commit({**HELLO, "keys/builder.json": (site.settings.keys / "builder.json").read_text()})
    site.run()
    init, hello = layer_of(site, "pkg/init"), layer_of(site, "pkg/hello")
    assert (init.inner["adopted"], hello.inner["adopted"]) == (True, False)
    assert init.commit == hello.commit == head(site) and init.inner["key"], "the key of the same inputs"


def test_releases_of_an_older_controller_are_attested_without_a_new_release(site: Site) -> None:
    builder = site.settings.keys / "builder.pem"
    builder.rename(builder.with_suffix(".away"))
    site.run()
    before = site.offers()
    builder.with_suffix(".away").rename(builder)
    site.commit({"README.md": "another commit\n"})
    assert {step.subject for step in site.run().plan.boxes} == {"a", "b", "c"}
    said = claim(site, offered(site).document.sha256)
    assert site.offers() == before and said.commit == offered(site).revision.commit != head(site)
    assert layer_of(site, "pkg/init").inner["adopted"] is True
    assert site.run().plan.empty, "once"


@pytest.mark.parametrize("which", ["the release", "a layer", "everything"])
def test_lost_provenance_is_made_again(site: Site, which: str) -> None:
    site.run()
    before, offers, subject = files(site), site.offers(), offered(site).document.sha256
    if which == "everything":
        shutil.rmtree(site.store.paths.attestations)
    else:
        lost = subject if which == "the release" else offered(site).release.layers()[0].root
        site.store.attestations.path(lost).unlink()
    assert site.run().plan.boxes
    assert files(site).keys() == before.keys() and files(site)[subject] == before[subject]
    assert site.offers() == offers and site.run().plan.empty


def test_boot_files_that_were_lost_are_signed_again_and_the_claim_is_about_these(site: Site) -> None:
    """A backup without blobs/: boxes refuse a release whose claim names the boot files of before."""
    site.run()
    before, believed = offered(site), Signer.open(site.settings.keys).builders
    lost = [site.store.blobs.path(ref.sha256) for ref in (before.uki, before.addon)]
    newest = max(path.stat().st_mtime for path in lost)
    while int(time.time()) <= int(newest):  # a signature holds the second in which it was made
        time.sleep(0.05)
    for path in lost:
        path.unlink()
    assert site.run().plan.boxes
    now = offered(site)
    assert now.document == before.document and now.uki != before.uki and now.addon != before.addon
    names = {"release.json": now.document, "uki.efi": now.uki, "addon.efi": now.addon}
    assert believed
    said = of_release(site.store.attestations, believed, {name: ref.sha256 for name, ref in names.items()})
    assert said.commit == head(site) and site.run().plan.empty, "once"


def test_a_fleet_repo_with_our_builder_puts_it_on_the_boxes(site: Site) -> None:
    text = (site.settings.keys / "builder.json").read_text()
    site.run()
    before = site.offers()
    site.commit({"keys/builder.json": text})
    site.run()
    boxes = load_fleet(FolderTree(site.remote.work)).boxes
    assert {"path": "etc/toweros/builder.json", "contents": text, "mode": "0644"} in boxes["a"].files
    assert site.store.existing().boxes.keys() == before.keys()


@pytest.mark.parametrize("why", ["another key", "another fleet", "no key here"])
def test_boxes_that_would_never_take_more_are_offered_nothing(site: Site, tmp_path: Path, why: str) -> None:
    site.run()
    before = site.offers()
    named = (site.settings.keys / "builder.json").read_text()
    if why == "no key here":
        (site.settings.keys / "builder.pem").unlink()
    elif why == "another fleet":
        named = named.replace(keys.guid(site.settings.keys), "another")
    else:
        shutil.copytree(site.settings.keys, tmp_path / "other")
        keys.rotate_builder(tmp_path / "other")
        named = (tmp_path / "other" / "builder.json").read_text()
    site.commit({"keys/builder.json": named, **HELLO})
    with pytest.raises(SignError, match="builder") as caught:
        site.run()
    assert caught.value.hint and site.offers() == before


def test_a_rotated_key_signs_what_is_asked_for_again_and_the_old_one_signs_along(site: Site) -> None:
    site.run()
    old = Signer.open(site.settings.keys).builders
    before, root = files(site), offered(site).release.layers()[0].root
    keys.rotate_builder(site.settings.keys)
    new = Signer.open(site.settings.keys).builders
    assert old and new and old != new and old.fleet == new.fleet
    site.commit({**HELLO, "keys/builder.json": (site.settings.keys / "builder.json").read_text()})
    site.run()
    (waiting,) = site.store.offers.candidates(["b"]) or [offered(site)]
    for name in (root, waiting.document.sha256):
        assert signed_by(files(site)[name], (*old.keys, *new.keys)) == {*old.keys, *new.keys}
    assert unseal(files(site)[root], new.keys) == unseal(before[root], old.keys), "the same statement"


def test_a_rotation_that_was_stopped_is_completed_not_repeated(site: Site) -> None:
    folder = site.settings.keys
    named, first = (folder / "builder.json").read_bytes(), (folder / "builder.pem").read_bytes()
    keys.rotate_builder(folder)
    second = (folder / "builder.pem").read_bytes()
    (folder / "builder.json").write_bytes(named)
    keys.rotate_builder(folder)
    assert (folder / "builder.pem").read_bytes() == second
    assert (folder / "builder.old.pem").read_bytes() == first


def test_a_claim_that_would_be_too_large_names_the_lock_instead_of_its_files(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = [f"deb thing{number} 1 {number:064x} 1 pool/thing{number}_1_amd64.deb" for number in range(50)]
    lock = "\n".join([f"{HEADER}{sha256(LOCK.encode())}", *locked, ""])
    site.commit({"pkg/hello/packages.in": LOCK, "pkg/hello/packages.lock": lock})
    site.run()
    whole = layer_of(site, "pkg/hello")
    assert whole.locked() == 50 and whole.materials[-1].uri == "pkg:deb/debian/thing49@1"
    assert ("pkg/hello/packages.lock", sha256(lock.encode())) in [(m.name, m.digest) for m in whole.materials]
    shutil.rmtree(site.store.paths.attestations)
    monkeypatch.setattr(witness, "ENCODED", 2000)
    site.commit({"pkg/init/file": "another\n"})
    site.run()
    short = layer_of(site, "pkg/hello")
    assert short.locked() == 0 and short.materials[-1].name == "pkg/hello/packages.lock"


def test_a_file_of_somebody_else_is_named_with_its_server(site: Site) -> None:
    wanted = (
        "source vendor https://packages.example/apt stable main\ndeb tool@vendor\n"
        f"fetch https://files.example/modem-1.2.bin sha256:{'f' * 64} as modem.bin\n"
    )
    lines = [
        f"deb tool 1.4 {'e' * 64} 1 https://packages.example/apt/pool/tool_1.4_amd64.deb",
        f"fetch modem.bin {'f' * 12} {'f' * 64} 1 https://files.example/modem-1.2.bin",
    ]
    lock = "\n".join([f"{HEADER}{sha256(wanted.encode())}", *lines, ""])
    site.commit({"pkg/hello/packages.in": wanted, "pkg/hello/packages.lock": lock, "keys/apt/vendor.asc": ARMOUR})
    site.run()
    said = {each.name: each.uri for each in layer_of(site, "pkg/hello").materials}
    assert said["tool_1.4_amd64.deb"] == "pkg:deb/packages.example/tool@1.4"
    assert said["modem.bin"] == "pkg:generic/modem.bin"


def test_what_boxes_run_or_are_offered_keeps_its_provenance_and_the_rest_goes(site: Site) -> None:
    site.run()
    old, first = files(site), layer_of(site, "pkg/hello")
    for box in "abc":
        site.report(box)
    site.commit(HELLO)
    site.run()
    with site.store.lease.held():
        collect(site.store, [], now=1e12, grace=0)
        assert old.keys() <= files(site).keys(), "b and c still run it"
        for box in "abc":
            site.report(box)
    site.run()
    for box in "abc":
        site.report(box)
    with site.store.lease.held():
        collect(site.store, [], now=1e12, grace=0)
    (root,) = first.subjects
    assert root not in files(site)
    needed = {each.root for each in offered(site).release.layers()}
    assert files(site).keys() == needed | {offered(site, box).document.sha256 for box in "abc"}
    assert site.store.notes.each(BuiltAt).keys() <= site.store.builds.image_keys()
