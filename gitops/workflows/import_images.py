"""Images of user containers that come from elsewhere: found in the store, else pulled; signatures checked.

In: the settings, a store, the apps of the boxes, the fleet repo's tree. Out: what the assembler takes as `Pulled`.
Rules: an image that was pulled or imported once is not asked for again; with `pull: registry`, Docker will pull by the
very digest that is checked here, so every such image must carry a signature by a key in `keys/cosign/`, and that digest
stands in the signed release; so must one that is named by a tag, where the fleet repo has keys (`images.trust`); the
result of a check is remembered with the keys that it was made with.

    pulled = Images(settings, store).of(fleet.boxes.values(), built, tree)
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import structlog

from gitops.assemble.release import Pulled
from gitops.errors import RegistryError
from gitops.fleet.images.lockfile import pins
from gitops.fleet.images.tracked import tracked
from gitops.model import App, AppImage, BlobRef, Box, Image, Tree, canonical, sha256
from gitops.oci.cosign import verify_signature
from gitops.oci.image import Reference, oci_image, pull, repository_of
from gitops.oci.layout import OciLayout
from gitops.oci.registry import Registry
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.documents import AppImageBlobs, AppImages, CheckedSignature
from gitops.workflows.images.trust import Trust, keys_of, place, place_of, whose

log = structlog.get_logger(__name__)


class Images:
    """What came from elsewhere."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store

    def of(self, boxes: Iterable[Box], built: Mapping[str, Image], tree: Tree) -> Pulled:
        """The images that the apps of these boxes name.

        Raises:
            RegistryError: one cannot be pulled, or must be signed and is not.
        """
        apps = list({app.path: app for box in boxes for app in box.apps}.values())
        names = sorted({name for app in apps for name in app.images.values() if not name.startswith("@pkg:")})
        images = {name: self.image(name) for name in names}
        for app in apps:
            if app.pull == "registry":
                every = {name: images.get(name) or self._built(built, name) for name in app.images.values()}
                self._check(app, every, tree)
        if images:
            self._check_tags(images, tree)
        digests = {name: tuple(ref.sha256 for ref in _blobs(self._store, image)) for name, image in images.items()}
        if AppImages(digests) != (self._store.notes.get(AppImages) or AppImages()):
            self._store.notes.put(AppImages(digests))
        return Pulled(images, self._settings.registry)

    def image(self, name: str, listen: Callable[[Callable[[], AppImage]], AppImage] = lambda pull: pull()) -> AppImage:
        """An image by digest: out of the store, else from the registry, `listen`ing to others meanwhile."""
        reference = Reference.parse(name)
        stored = self._stored(reference.digest)
        if stored:
            return stored
        where = self._settings.registry or reference.host
        if not where:
            hint = "`toweros image import FOLDER` takes one from an OCI layout; or set `registry` in toweros.toml"
            raise RegistryError(f"{name} is not in the store, and no registry is named", hint=hint)
        registry, repository = self.place(where, reference.repository)
        log.info("image.pull", image=name, registry=registry.host)
        image = listen(lambda: pull(self._store, registry, repository, reference.digest))
        self.keep(reference.digest, image)
        return image

    def place(self, where: str, repository: str) -> tuple[Registry, str]:
        """Where a repository is on `HOST[/PREFIX]`."""
        return place(self._settings, where, repository)

    def keep(self, digest: str, image: AppImage) -> None:
        """Remember an image under the digest by which it is named (its index's, if it has one)."""
        self._store.notes.put(AppImageBlobs(_blobs(self._store, image)), digest)

    def _stored(self, digest: str) -> AppImage | None:
        refs = (self._store.notes.get(AppImageBlobs, digest) or AppImageBlobs()).blobs
        if not refs or not all(self._store.blobs.has(ref.sha256) for ref in refs):
            return None
        manifest, config, *layers = refs
        blobs = self._store.blobs
        return AppImage(blobs.read(manifest.sha256), blobs.read(config.sha256), tuple(layers))

    def _built(self, built: Mapping[str, Image], name: str) -> AppImage:
        if name not in built:
            raise RegistryError(f"{name} is not built", hint="`toweros apply` builds it")
        return oci_image(self._store, built[name])

    def _check(self, app: App, images: Mapping[str, AppImage], tree: Tree) -> None:
        """Every image that Docker is to pull itself carries a signature by a key of the fleet repo."""
        keys = keys_of(tree)
        for name, image in images.items():
            asked = [self._settings.registry, image.digest, sorted(map(sha256, keys.values()))]
            question = sha256(canonical(asked))
            if self._store.notes.get(CheckedSignature, question):
                continue
            if not self._settings.registry:
                hint = "set `registry` in toweros.toml, or `pull: staged`"
                raise RegistryError(f"{app.path} is pulled from a registry, and none is named", hint=hint)
            registry, repository = self.place(self._settings.registry, repository_of(name))
            signer = verify_signature(registry, repository, image.digest, keys)
            self._store.notes.put(CheckedSignature(signer), question)
            log.info("image.signed", image=name, signer=signer)

    def _check_tags(self, images: Mapping[str, AppImage], tree: Tree) -> None:
        """Whoever may sign images.lock alone chooses among what others have signed."""
        known = pins(tree)
        by_tag = {f"{one.reference}@{one.digest(known)}": one.name for one in tracked(tree)}
        named = {name: image for name, image in images.items() if name in by_tag}
        trust = Trust.of(tree) if named else Trust({})
        for name, image in named.items():
            reference = Reference.parse(name)
            asked = ["tag", self._settings.registry, name, image.digest, sorted(map(sha256, trust.keys.values()))]
            question = sha256(canonical(asked))
            if not trust.asks(by_tag[name]):
                continue
            if self._store.notes.get(CheckedSignature, question):
                continue
            registry, repository = place_of(self._settings, name)
            signer = whose(registry, repository, (reference.digest, image.digest), trust.keys)
            self._store.notes.put(CheckedSignature(signer), question)
            log.info("image.signed", image=name, signer=signer)


def import_layout(images: Images, store: Store, folder: Path) -> list[str]:
    """Take every image of an OCI layout into the store. Returns their digests, as `NAME@sha256:DIGEST` names them.

    Raises:
        AssembleError: see `OciLayout`.
    """
    layout, digests = OciLayout(folder), []
    for manifest, config, layers in layout.all():
        image = AppImage(manifest, config, tuple(store.blobs.put(layer) for layer in layers))
        images.keep(image.digest, image)
        digests.append(image.digest)
    return digests


def _blobs(store: Store, image: AppImage) -> tuple[BlobRef, ...]:
    return (store.blobs.put(image.manifest), store.blobs.put(image.config), *image.layers)
