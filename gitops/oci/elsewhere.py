"""Images of others in the store: found there by the digest that names them, else pulled from where they are.

In: the settings, a store, `NAME@sha256:DIGEST` or `NAME:TAG@sha256:DIGEST`. Out: an `AppImage` whose blobs are in the
store. Rules: what was pulled or imported once is not asked for again; but an image that is named by a tag was chosen by
whoever may sign images.lock alone, so it must have come from the repository that the name says (or from a folder: that
was a person), or that repository is asked; and where `keys/cosign/` has a key, one of them must have signed it.

    elsewhere = Elsewhere(settings, store)
    image = elsewhere.image("web.example/nginx:1.27@sha256:...")
    elsewhere.check_tags({name: image}, tree)
"""

from collections.abc import Callable, Mapping

import structlog

from gitops.errors import RegistryError
from gitops.fleet.images.lockfile import pins
from gitops.fleet.images.tracked import tracked
from gitops.model import AppImage, BlobRef, Tree
from gitops.oci.image import Reference, pull
from gitops.oci.manifest import for_all
from gitops.oci.registry import Registry
from gitops.oci.trust import NOWHERE, Trust, place, place_of, tag_question, whose
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.documents import AppImageBlobs, AppImages, CheckedSignature, ImageOrigins

log = structlog.get_logger(__name__)

ANY = "*"
"""Whoever took an image out of a folder says what it is called."""
MAX_ORIGINS = 64
"""Repositories of one image that are remembered."""


class Elsewhere:
    """What came from elsewhere."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store

    def image(self, name: str, listen: Callable[[Callable[[], AppImage]], AppImage] = lambda pull: pull()) -> AppImage:
        """An image by digest: out of the store, else from the registry, `listen`ing to others meanwhile.

        Raises:
            RegistryError: it cannot be had from where its name says, or is not for our machines.
        """
        if here := self.here(name):
            return here
        reference = Reference.parse(name)
        if not (self._settings.registry or reference.host):
            hint = f"`toweros image import FOLDER` takes one from an OCI layout; or {NOWHERE}"
            raise RegistryError(f"{name} is not in the store, and no registry is named", hint=hint)
        registry, repository = place_of(self._settings, name)
        log.info("image.pull", image=name, registry=registry.host)
        image = listen(lambda: pull(self._store, registry, repository, reference.digest))
        self.keep(reference.digest, image, named(name)[0])
        return image

    def here(self, name: str) -> AppImage | None:
        """An image that is in the store, and whose tag may mean it."""
        digest = Reference.parse(name).digest
        image = stored(self._store, digest)
        return image if image and self._is_from(name, digest) else None

    def place(self, where: str, repository: str) -> tuple[Registry, str]:
        """Where a repository is on `HOST[/PREFIX]`."""
        return place(self._settings, where, repository)

    def keep(self, digest: str, image: AppImage, origin: str = ANY) -> None:
        """Remember an image under the digest by which it is named (its index's, if it has one), and whose it is."""
        self._store.notes.put(AppImageBlobs(blobs_of(self._store, image)), digest)
        known = self._origins(digest)
        if origin not in known:
            self._store.notes.put(ImageOrigins((*known, origin)[-MAX_ORIGINS:]), digest)

    def check_tags(self, images: Mapping[str, AppImage], tree: Tree) -> None:
        """Whoever may sign images.lock alone chooses among what others have signed.

        Raises:
            RegistryError: one is named by a tag, must be signed, and is not; or is for newer processors alone.
        """
        known = pins(tree) if images else {}
        by_tag = {f"{one.reference}@{one.digest(known)}": one.name for one in tracked(tree)} if images else {}
        tagged = {name: image for name, image in images.items() if name in by_tag}
        trust = Trust.of(tree) if tagged else Trust({})
        for name, image in tagged.items():
            for_all(image, name)
            reference = Reference.parse(name)
            question = tag_question(self._settings.registry, name, image.digest, trust.keys)
            checked = self._store.notes.get(CheckedSignature, question)
            if checked or not trust.asks(by_tag[name]):
                continue
            registry, repository = place_of(self._settings, name)
            signer = whose(registry, repository, (reference.digest, image.digest), trust.keys)
            self._store.notes.put(CheckedSignature(signer), question)
            log.info("image.signed", image=name, signer=signer)

    def _is_from(self, name: str, digest: str) -> bool:
        """A digest that a person wrote is what it is, wherever it came from. What deploys since before origins were
        remembered goes on."""
        repository, tag = named(name)
        if not tag or {repository, ANY} & set(self._origins(digest)):
            return True
        return name in (self._store.notes.get(AppImages) or AppImages()).rows

    def _origins(self, digest: str) -> tuple[str, ...]:
        return (self._store.notes.get(ImageOrigins, digest) or ImageOrigins()).names


def stored(store: Store, digest: str) -> AppImage | None:
    """An image whose blobs are all here; by the digest that names it."""
    refs = (store.notes.get(AppImageBlobs, digest) or AppImageBlobs()).blobs if digest else ()
    if not refs or not all(store.blobs.has(ref.sha256) for ref in refs):
        return None
    manifest, config, *layers = refs
    return AppImage(store.blobs.read(manifest.sha256), store.blobs.read(config.sha256), tuple(layers))


def blobs_of(store: Store, image: AppImage) -> tuple[BlobRef, ...]:
    """Manifest, config, layers."""
    return (store.blobs.put(image.manifest), store.blobs.put(image.config), *image.layers)


def named(reference: str) -> tuple[str, str]:
    """`HOST/REPOSITORY` as it is written, and the tag."""
    name = reference.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return f"{folder}{slash}{repository}", tag
