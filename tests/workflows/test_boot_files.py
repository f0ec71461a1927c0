"""A fix of what starts a box reaches the boxes as any other change does: named by the release, and offered with it."""

from dataclasses import replace

import pytest

from gitops.assemble.boot.pe import signed_digest
from gitops.model import Target
from gitops.publish import Publisher
from gitops.publish.folder import Folder
from gitops.sign import Signer, secureboot
from gitops.sign.firmware import renewal
from gitops.workflows.verify import Believed, Verification
from tests.kit.pe import a_pe_file
from tests.kit.site import Site
from tests.simulators.signed_box import NOW

NAMED = {"fleet.yaml": "source: {branch: main}\nrecipe: 2\n"}
FIXED = {"pkg/bootloader/file": "a fix in the stub\n"}


def targets(site: Site) -> dict[str, Target]:
    store = site.store
    return Signer.open(site.settings.keys, store).targets(Folder(store.paths.metadata).read)


def loader(site: Site) -> bytes:
    return site.store.blobs.read(targets(site)["a/loader.efi"].ref.sha256)


def test_a_fix_in_the_boot_loaders_package_alone_is_a_release_that_goes_out_as_any_other(site: Site) -> None:
    site.commit(NAMED)
    site.run()
    before, first = site.contents(), loader(site)
    for box in before:
        site.report(box)
    site.commit(FIXED)
    assert len(site.run().published) == 1, "the canary first"
    after = site.contents()
    assert len([box for box in before if after[box] != before[box]]) == 1
    found = site.store.offers.published("a")
    assert found and found.release.content.boot, "its canary is the first by name"
    assert found.release.content.boot.loader == signed_digest(loader(site)) != signed_digest(first)
    assert secureboot.verify(loader(site), site.settings.keys / "db.crt")


def test_a_fleet_of_recipe_1_stays_as_it_is_until_a_commit_asks_for_2(site: Site) -> None:
    site.run()
    before = site.contents()
    site.commit(FIXED)
    site.run()
    assert site.contents() == before, "its releases do not name what starts them"
    published = site.store.offers.published("a")
    assert published and published.release.content.boot is None and b"boot" not in published.release.encode()
    built = site.store.builds.image_keys()
    site.commit(NAMED)
    site.run()
    assert site.contents() != before
    assert site.store.builds.image_keys() == built, "recipe 2 builds no package again"


def test_while_two_db_keys_sign_a_new_release_has_a_boot_loader_of_both(site: Site) -> None:
    site.commit(NAMED)
    site.run()
    old, first = site.settings.keys / "db.old.crt", loader(site)
    renewal.rotate(site.settings.keys, "db", NOW)
    site.commit({"keys/firmware.json": (site.settings.keys / "firmware.json").read_text(), "pkg/hello/file": "2\n"})
    site.run()
    assert loader(site) != first and signed_digest(loader(site)) == signed_digest(first)
    assert all(secureboot.verify(loader(site), each) for each in (old, site.settings.keys / "db.crt"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("another", "loader: it is another systemd-boot than the release names"),
        ("unsigned", "loader: no signature of KEYS/db.crt is on it"),
        ("none", "loader: the signed metadata has none, and the release names one"),
    ],
)
def test_verify_finds_a_boot_loader_that_is_not_the_releases(site: Site, change: str, says: str) -> None:
    site.commit(NAMED)
    site.run()
    store, keys = site.store, site.settings.keys
    verification = Verification(store.paths.root, Believed.of_folder(keys))
    assert [each.ok for each in verification.of("a") if each.what == "loader"] == [True]
    signer, found = Signer.open(keys, store), store.offers.published("a")
    assert found
    body = a_pe_file(b"another")
    other = {"another": signer.sign_boot(body), "unsigned": body, "none": b""}[change]
    lied = replace(found, loader=store.blobs.put(other) if other else None)
    with store.lease.held():
        Publisher(store, signer).publish([], removed=["a"])
        Publisher(store, signer).publish([lied])
    broken = [f"{each.what}: {each.says}" for each in verification.of("a") if not each.ok]
    assert says.replace("KEYS", str(keys)) in broken
