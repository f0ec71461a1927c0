"""A second witness: a release is built again from the commit that its provenance names, and every digest is compared.

In: published files, whom to believe as builders, a clone of the fleet repo. Out: a `Comparison` for each part. Rules:

- nothing of the first build is used: packages are built and layers made in a store of its own, gone afterwards; only
  what a lock or a reference names by digest may come from the first store, and is held against that digest;
- what the first build said of itself is believed for one thing: which commit, box and server to build for;
- the boot files are those that the metadata offer; of a release that nobody is offered, those of its provenance;
- a boot file is compared by what its signature covers: the rest of it is the signature, and the time in that.

    witness = SecondWitness(settings, files, builders, clone)
    comparisons = witness.rebuild(witness.find("site-7"))
    all(each.same for each in comparisons)
"""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from gitops.assemble.boot.pe import signed_digest
from gitops.assemble.release import Assembled
from gitops.builders import Bases, BuildahBuilder
from gitops.builders.places import Places
from gitops.errors import RegistryError, SourceError, StoreError, TowerosError
from gitops.fleet import load_fleet
from gitops.fleet.keys.logins import of_now
from gitops.model import BlobRef, Builders, Claim, Existing, Fleet, Release, Revision, Target
from gitops.oci.elsewhere import ANY
from gitops.oci.image import Reference
from gitops.oci.manifest import MAX_DEPTH, choices
from gitops.oci.registry import hex_of, parse
from gitops.plan import PACKAGE, plan
from gitops.publish.folder import Folder
from gitops.publish.offered import offered
from gitops.publish.targets import RELEASE, box_of
from gitops.settings import Settings
from gitops.sign.small.reading import Reader
from gitops.source.clone.commits import DAMAGE, Clone
from gitops.store import Store
from gitops.store.files.attestations import Attestations
from gitops.store.files.blobs import HEX, Blobs, digest_file
from gitops.store.files.layout import Layout, Scratch
from gitops.store.notes.documents import AppImageBlobs, ImageOrigins
from gitops.workflows.provenance.check import of_layer, of_release
from gitops.workflows.workshop import Workshop

log = structlog.get_logger(__name__)

LOADER = "loader.efi"
BOOT_FILES = ("uki.efi", "addon.efi")
"""And `LOADER`, where the provenance speaks of it: an older controller's does not."""


@dataclass(frozen=True)
class Named:
    """A release: file -> SHA-256. Not `offered`: nobody is offered it, so nothing but its provenance names its boot
    files, and they are not in here."""

    files: Mapping[str, str]
    offered: bool


@dataclass(frozen=True)
class Comparison:
    """One part of a release: its digest as published, and as built again; empty: there is no such part."""

    part: str
    published: str
    rebuilt: str

    @property
    def same(self) -> bool:
        return self.published == self.rebuilt


class SecondWitness:
    """`files` is a state folder, or a copy of its repo/, blobs/ and layers/; `clone` has the fleet repo's commits."""

    def __init__(self, settings: Settings, files: Path, builders: Builders, clone: Clone) -> None:
        self._settings, self._builders, self._clone = settings, builders, clone
        self._paths = Layout(files)
        self._blobs, self._attestations = Blobs(self._paths.blobs), Attestations(self._paths.attestations)

    def rebuild(self, named: Named, scratch: Path | None = None) -> list[Comparison]:
        """Build a release again. `scratch` is where: gigabytes, gone afterwards.

        Raises:
            TowerosError: no provenance that we believe is about just these files, its commit is not in the clone, or it
                does not build.
        """
        claim = self.claim(named)
        release = Release.parse(self._blobs.read(named.files[RELEASE]))
        for layer in release.layers():
            of_layer(self._attestations, self._builders, layer)
        covered = self._covered(claim)
        with tempfile.TemporaryDirectory(prefix=Scratch.plan, dir=scratch) as folder:
            made = self._make(claim, release, Path(folder))
        files = {"uki.efi": made.uki, "addon.efi": made.addon, LOADER: made.loader}
        boot = {name: signed_digest(data) for name, data in files.items() if name in covered}
        return compare(parts(release) | covered, parts(made.release) | boot)

    def claim(self, named: Named) -> Claim:
        """What the provenance of a release says, signed by somebody whom we believe.

        Raises:
            TowerosError: there is none that is about just these files.
        """
        older = {name: digest for name, digest in named.files.items() if name != LOADER}
        claim = of_release(self._attestations, self._builders, older)
        if named.offered and claim.subjects.get(LOADER) not in (None, named.files.get(LOADER)):
            raise TowerosError(f"the provenance of the release is about another {LOADER}")
        return claim

    def find(self, name: str) -> Named:
        """What a box is offered; or the release of a digest, which need not be offered to anybody.

        Raises:
            TowerosError: there is neither such a box nor such a release, or the box is not offered all its files.
        """
        name = name.removeprefix("sha256:")
        known = offered(Reader(), Folder(self._paths.metadata))
        for path, target in known.items():
            if path.endswith(f"/{RELEASE}") and name in (box_of(path), target.ref.sha256):
                return Named(_files(known, box_of(path)), offered=True)
        if HEX.fullmatch(name) and self._attestations.read(name) is not None:
            return Named({RELEASE: name}, offered=False)
        raise TowerosError(f"nothing called {name} is offered", hint="`toweros status` lists the boxes")

    def _covered(self, claim: Claim) -> dict[str, str]:
        """What the signatures of the published boot files cover."""
        names = (*BOOT_FILES, *(name for name in (LOADER,) if name in claim.subjects))
        found = {name: signed_digest(self._blobs.read(claim.subjects[name])) for name in names}
        if wrong := [name for name in names if claim.byproducts.get(name) != found[name]]:
            raise TowerosError(f"{wrong[0]} is not what its provenance says that was signed")
        return found

    def _make(self, claim: Claim, release: Release, folder: Path) -> Assembled:
        """The release again, in a store of its own."""
        revision, fleet = self._revision(claim, release), self._fleet(claim)
        box = fleet.boxes.get(release.box)
        if box is None:
            raise TowerosError(f"commit {claim.commit} has no box {release.box}")
        alone = replace(fleet, boxes={box.name: box})
        settings = self._settings.model_copy(update={"server": str(claim.asked["server"])})
        store = Store.open(folder)
        try:
            with store.lease.held():
                tree = self._clone.files(_made_of(claim))
                places, bases = Places.by(settings), Bases(settings, store)
                builder = BuildahBuilder(store, None, places, bases, settings.rootfs_still)
                workshop = Workshop(settings, store, builder, (revision, tree), alone, listed=False)
                for step in plan(alone, revision, Existing()).builds:
                    log.info("rebuild.build", package=step.subject)
                    package = fleet.packages[step.subject]
                    lend_locked(self._blobs, store, (file.sha256 for file in package.lock))
                    self._lend_images(store, package.bases)
                    workshop.build(step.subject)
                self._lend_images(store, box.images_of_others())
                return workshop.assemble(box.name)
        finally:
            store.close()

    def _revision(self, claim: Claim, release: Release) -> Revision:
        try:
            return self._clone.describe(str(claim.asked["ref"]), claim.commit, release.sequence)
        except DAMAGE as error:
            hint = "fetch it, or name a clone that has it with --dir"
            raise SourceError(f"commit {claim.commit} is not in this clone", hint=hint) from error

    def _fleet(self, claim: Claim) -> Fleet:
        platform, earlier = str(claim.asked["platform"]), _made_of(claim)
        fleet = load_fleet(self._clone.files(claim.commit), platform)
        if earlier != claim.commit:
            box = fleet.boxes.get(str(claim.asked["box"]))
            asked = box is not None and bool(box.pin or box.floor)
            if not asked or not self._clone.has(earlier) or not self._clone.descends(claim.commit, earlier):
                raise TowerosError(f"commit {claim.commit} does not ask for anything that is made of {earlier}")
            fleet = of_now(load_fleet(self._clone.files(earlier), platform), fleet)
        if fleet.policy.recipe != claim.asked["recipe"]:
            raise TowerosError(f"the provenance says recipe {claim.asked['recipe']}, the commit {fleet.policy.recipe}")
        return fleet

    def _lend_images(self, store: Store, names: Iterable[str]) -> None:
        """Images that no package makes, if they are here under the digest that names them; others are pulled. Whether
        they may be taken was decided when they were."""
        for digest in {Reference.parse(name).digest for name in names if not name.startswith(PACKAGE)}:
            if refs := stored_image(self._blobs, digest):
                lend_locked(self._blobs, store, [digest, *(ref.sha256 for ref in refs)])
                store.notes.put(AppImageBlobs(refs), digest)
                store.notes.put(ImageOrigins((ANY,)), digest)


def _made_of(claim: Claim) -> str:
    """The commit whose files a release is made of: that which it names, or the earlier one that a pin or floor of it
    names, which is in its history."""
    return str(claim.asked.get("pin", claim.commit))


def _files(offered: Mapping[str, Target], box: str) -> dict[str, str]:
    names = (RELEASE, *BOOT_FILES)
    if missing := [name for name in names if f"{box}/{name}" not in offered]:
        raise TowerosError(f"{box} is offered no {missing[0]}", hint="`toweros verify` says what else is wrong with it")
    return {name: offered[f"{box}/{name}"].ref.sha256 for name in (*names, LOADER) if f"{box}/{name}" in offered}


def lend_locked(blobs: Blobs, store: Store, digests: Iterable[str]) -> None:
    """Files that are here already: each gets the name that its own bytes have, so a damaged one is not found."""
    for digest in digests:
        if not store.blobs.has(digest) and blobs.has(digest):
            store.blobs.put_file(blobs.path(digest))


def stored_image(blobs: Blobs, digest: str, depth: int = MAX_DEPTH) -> tuple[BlobRef, ...]:
    """Manifest, config, layers; none when one of them is not here, or not what its name says."""
    try:
        data = blobs.read(digest)
        manifest = parse(data, digest)
        if "manifests" in manifest:  # an index, of which one image was taken
            within = (each.digest for each in choices(manifest, digest)) if depth else ()
            return next(filter(None, (stored_image(blobs, each, depth - 1) for each in within)), ())
        named = (manifest["config"], *manifest["layers"])
        refs = [BlobRef(hex_of(each["digest"]), int(each["size"])) for each in named]
        whole = all(digest_file(blobs.path(ref.sha256)) == ref for ref in refs)
    except (StoreError, RegistryError, KeyError, TypeError, ValueError, OSError):
        return ()
    return (BlobRef(digest, len(data)), *refs) if whole else ()


def compare(published: Mapping[str, str], rebuilt: Mapping[str, str]) -> list[Comparison]:
    """Part by part, in the order of what is published."""
    parts = dict.fromkeys((*published, *rebuilt))
    return [Comparison(part, published.get(part, ""), rebuilt.get(part, "")) for part in parts]


def parts(release: Release) -> dict[str, str]:
    """The digests of a release, by name."""
    content = release.content
    places = {"root": content.root} | {each.path: each.layers for each in content.containers}
    layers = {
        f"{place} layer {number}": layer.root for place, each in places.items() for number, layer in enumerate(each, 1)
    }
    boot = {"kernel": content.kernel.sha256, "initrd": content.initrd.sha256}
    return boot | layers | {"content": content.digest, RELEASE: release.digest}


def builders_of(folder: Path) -> Builders:
    """Whom a folder of public keys names as builders.

    Raises:
        TowerosError: nobody.
    """
    file = folder / "builder.json"
    if not file.is_file():
        hint = "--keys names a folder like a fleet repo's keys/; `toweros keys rotate builder` makes the first key"
        raise TowerosError(f"{file} is missing, so no provenance can be believed", hint=hint)
    return Builders.parse(file.read_bytes())
