"""Images that come from elsewhere, of apps and of boot specs: found in the store, else pulled; signatures checked.

In: the settings, a store, the boxes, the fleet repo's tree. Out: what the assembler takes as `Pulled`. Rules: what
comes from elsewhere is `oci.elsewhere`'s affair; an image that cannot be had is the trouble of the boxes that need it,
and of no other; what a boot spec names is unpacked, for it becomes layers as a package's image does; with `pull:
registry`, Docker will pull by the very digest that is checked here, so every such image must carry a signature by a key
in `keys/cosign/`, and that digest stands in the signed release; the result of a check is remembered with the keys that
it was made with.

    pulled = Images(settings, store).of(fleet.boxes.values(), built, tree)
"""

import time
from collections.abc import Callable, Iterable, Mapping

import structlog

from gitops.assemble.release import Pulled
from gitops.errors import RegistryError, TowerosError, readable
from gitops.model import App, AppImage, Box, Image, Tree
from gitops.oci.away import Away
from gitops.oci.cosign import verify_signature
from gitops.oci.elsewhere import Elsewhere, blobs_of
from gitops.oci.image import Reference, oci_image, repository_of
from gitops.oci.plain import unpacked_image
from gitops.oci.trust import keys_of, pull_question
from gitops.oci.within import Jobs
from gitops.plan import PACKAGE
from gitops.settings import Settings
from gitops.store import LeaseError, Store
from gitops.store.notes.documents import AppImages, CheckedSignature

log = structlog.get_logger(__name__)

PULLS = 600
"""Seconds that a pass waits for images; what is not here by then is fetched behind it, and waited for no more."""
FETCHES = Jobs()


class Images(Elsewhere):
    """What came from elsewhere, for apps and boot specs."""

    def __init__(self, settings: Settings, store: Store) -> None:
        super().__init__(settings, store)
        self._away = Away()
        self._until = time.monotonic() + PULLS

    def of(self, boxes: Iterable[Box], built: Mapping[str, Image], tree: Tree) -> Pulled:
        """The images that these boxes name. What cannot be had, or must be signed and is not, is in `missing`."""
        boxes = list(boxes)
        apps = list({app.path: app for box in boxes for app in box.apps}.values())
        boot = elsewhere(name for box in boxes for name in box.spec.images())
        images, roots = dict[str, AppImage](), dict[str, Image]()
        missing = dict[str, TowerosError]()
        for name in sorted(boot | elsewhere(name for app in apps for name in app.images.values())):
            try:
                images[name] = self._taken(name, tree)
                if name in boot:
                    roots[name] = unpacked_image(self._store, name, images[name])
            except LeaseError:
                raise
            except Exception as caught:  # a disk that it fills, and what breaks our code, are that image's alone
                missing[name] = readable(caught)
                log.warning("image.missing", image=name, error=missing[name].message)
        for app in apps:
            if app.pull == "registry" and not missing.keys() & app.images.values():
                every = {name: images.get(name) or self._built(built, name) for name in app.images.values()}
                try:
                    self._check(app, every, tree)
                except LeaseError:
                    raise
                except Exception as caught:
                    missing[app.path] = readable(caught)
        self._remember(images, roots, missing)
        return Pulled(images, self._settings.registry, roots, missing)

    def _taken(self, name: str, tree: Tree) -> AppImage:
        """One image, when its tag may mean it. A registry that is away is asked once."""
        where = self._settings.registry or Reference.parse(name).host
        if not self.here(name):
            self._away.check(where)
        try:
            image = self.image(name, lambda pull: self._waited_for(name, pull))
            self.check_tags({name: image}, tree)
        except RegistryError as error:
            self._away.heard(where, error)
            raise
        return image

    def _waited_for(self, name: str, pull: Callable[[], AppImage]) -> AppImage:
        key = f"{self._store.paths.root} {name}"
        return FETCHES.within(self._until - time.monotonic(), key, pull, name)

    def _remember(
        self, images: Mapping[str, AppImage], roots: Mapping[str, Image], missing: Mapping[str, TowerosError]
    ) -> None:
        """What is needed of each; of what cannot be had now, what was needed before."""
        before = self._store.notes.get(AppImages) or AppImages()
        kept = {name: before.rows[name] for name in missing if name in before.rows}
        plain = {name: image.layers for name, image in roots.items()}
        rows = {name: (*self._needed(name, image), *plain.get(name, ())) for name, image in images.items()}
        rows = {name: tuple(dict.fromkeys(digests)) for name, digests in (kept | rows).items()}
        if AppImages(rows) != before:
            self._store.notes.put(AppImages(rows))

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
            question = pull_question(self._settings.registry, image.digest, keys)
            if self._store.notes.get(CheckedSignature, question):
                continue
            if not self._settings.registry:
                hint = "set `registry` in toweros.toml, or `pull: staged`"
                raise RegistryError(f"{app.path} is pulled from a registry, and none is named", hint=hint)
            registry, repository = self.place(self._settings.registry, repository_of(name))
            signer = verify_signature(registry, repository, image.digest, keys)
            self._store.notes.put(CheckedSignature(signer), question)
            log.info("image.signed", image=name, signer=signer)


def elsewhere(names: Iterable[str]) -> set[str]:
    """Those that no package makes."""
    return {name for name in names if not name.startswith(PACKAGE)}
