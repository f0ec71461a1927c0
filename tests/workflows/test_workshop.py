"""One workshop for a pass, a trial and a disk: what one of them made, the others find."""

from pathlib import Path

import pytest

from gitops.assemble.release import BOOTLOADER, Assembler
from gitops.builders import Builder
from gitops.builders.places import Places
from gitops.errors import BuildError, StoreError
from gitops.fleet import load_fleet
from gitops.model import BlobRef, Image
from gitops.review.sizes import Measured
from gitops.settings import Settings
from gitops.source.clone.commits import LocalClone
from gitops.store import Store
from gitops.workflows.making import trial
from gitops.workflows.making.trial import measure
from gitops.workflows.preview import Point, Question
from gitops.workflows.workshop import LOADER, Workshop, boot_file
from tests.kit.site import HELLO, PlayedBuilder, Site


def head(site: Site) -> Point:
    clone = LocalClone(site.remote.work)
    revision = clone.revision("HEAD")
    return revision, clone.tree(revision)


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[PlayedBuilder]:
    """The builders of all trials."""
    builders: list[PlayedBuilder] = []

    def builder(store: Store, lender: Path | None = None, places: Places | None = None, *_: object) -> Builder:
        assert places == Places.by(Settings()), "a trial looks for locked files where a pass does"
        builders.append(PlayedBuilder(store))
        return builders[-1]

    monkeypatch.setattr(trial, "BuildahBuilder", builder)
    return builders


def test_a_trial_makes_what_the_next_pass_makes_and_leaves_nothing(site: Site, trials: list[PlayedBuilder]) -> None:
    site.run()
    base, images = head(site), site.store.builds.image_keys()
    site.commit(HELLO)
    measured: dict[str, Measured] = measure(Question(base, head(site)), site.store, site.settings)
    assert trials[0].built == ["pkg/hello"], "what the store has is lent, not built"
    assert site.store.builds.image_keys() == images and site.run().plan.builds
    assert measured["a"].release.content.digest == site.contents()["a"]
    before = measured["a"].before
    assert before and before.content.digest != measured["a"].release.content.digest


def test_a_trial_without_a_store_makes_the_base_too(site: Site, trials: list[PlayedBuilder]) -> None:
    base = head(site)
    site.commit({**HELLO, "boxes/d.yaml": "role: vm\n"})
    measured = measure(Question(base, head(site), named=True), None, site.settings)
    assert trials[0].built.count("pkg/hello") == 2 and trials[0].built.count("pkg/toolbox") == 1
    assert measured["a"].before and measured["d"].before is None, "d is in the head only"


def test_a_trial_that_does_not_build_says_where_the_log_stays(
    site: Site, trials: list[PlayedBuilder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PlayedBuilder, "build", lambda *_: (_ for _ in ()).throw(BuildError("no", hint="see /gone")))
    with pytest.raises(BuildError) as caught:
        measure(Question(None, head(site)), site.store, site.settings)
    assert caught.value.hint == "`toweros build` keeps the whole log"


def test_a_disk_takes_its_boot_loader_from_what_the_pass_built(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def files(self: Assembler) -> dict[str, BlobRef]:
        image: Image = self._images[BOOTLOADER]
        return {LOADER: BlobRef(image.layers[0], 0)}

    monkeypatch.setattr(Assembler, "boot_files", files)
    with pytest.raises(StoreError, match="pkg/toolbox is not built"):
        boot_file(site.store, LOADER)
    site.run()
    package = load_fleet(head(site)[1], "linux/amd64").packages["pkg/bootloader"]
    assert boot_file(site.store, LOADER) == package.key.encode()


def test_a_workshop_makes_releases_that_no_key_has_touched(site: Site) -> None:
    store, point = site.store, head(site)
    fleet = load_fleet(point[1], "linux/amd64")
    builder = PlayedBuilder(store)
    workshop = Workshop(site.settings, store, builder, point, fleet)
    for path in fleet.packages:
        workshop.build(path)
    workshop.pull()
    made = workshop.assemble("a")
    assert made.release.box == "a" and made.addon.endswith(made.release.digest.encode())
    assert list(store.offers.made()) == [] and site.offers() == {}
