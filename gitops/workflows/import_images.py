"""Images of user containers that come from elsewhere: found in the store, else pulled; signatures checked.

In: the settings, a store, the apps of the boxes, the fleet repo's tree. Out: what the assembler takes as `Pulled`.
Rules: what comes from elsewhere is `oci.elsewhere`'s affair; with `pull: registry`, Docker will pull by the very digest
that is checked here, so every such image must carry a signature by a key in `keys/cosign/`, and that digest stands in
the signed release; the result of a check is remembered with the keys that it was made with.

    pulled = Images(settings, store).of(fleet.boxes.values(), built, tree)
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import structlog

from gitops.assemble.release import Pulled
from gitops.errors import RegistryError
from gitops.model import App, AppImage, Box, Image, Tree, canonical, sha256
from gitops.oci.cosign import verify_signature
from gitops.oci.elsewhere import Elsewhere, blobs_of
from gitops.oci.image import Reference, oci_image, repository_of
from gitops.oci.layout import OciLayout
from gitops.oci.trust import keys_of
from gitops.store import Store
from gitops.store.notes.documents import AppImages, CheckedSignature

log = structlog.get_logger(__name__)


class Images(Elsewhere):
    """What came from elsewhere, for apps."""

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
        self.check_tags(images, tree)
        digests = {name: self._needed(name, image) for name, image in images.items()}
        if AppImages(digests) != (self._store.notes.get(AppImages) or AppImages()):
            self._store.notes.put(AppImages(digests))
        return Pulled(images, self._settings.registry)

    def _needed(self, name: str, image: AppImage) -> tuple[str, ...]:
        """Digests of blobs, the index's among them, where the name is one's."""
        found = [ref.sha256 for ref in blobs_of(self._store, image)]
        return tuple(dict.fromkeys([Reference.parse(name).digest, *found]))

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
