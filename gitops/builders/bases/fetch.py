"""Base images come into the store: by digest, checked as images of apps are.

In: a package, its tree; the settings. Out: each of its base images, its blobs in the store. Rules: what is here is not
asked for again; a registry has an hour for all of an image, however slow it is; whose signature is needed is decided as
for apps: what is named by a tag, where `keys/cosign/` has a key. Layers are what the config says, and end.
Whatever is wrong is this package's alone.

    Bases(settings, store).fetch(package, tree)      # {"web.example/debian:13@sha256:..": AppImage(...)}
"""

import json
from collections.abc import Mapping

from gitops.builders.builder import TIMEOUT
from gitops.errors import BuildError, RegistryError
from gitops.fleet.images.lockfile import pins
from gitops.fleet.packages.dockerfile import Dockerfile
from gitops.model import AppImage, Package, Tree
from gitops.oci.elsewhere import Elsewhere
from gitops.oci.packed.checked import check_layers
from gitops.oci.within import within
from gitops.settings import Settings
from gitops.store import Store


class MissingBaseError(BuildError):
    """A base image that cannot be had, or may not be taken. It says nothing of the package, so it is transient."""


class Bases:
    """Fetches for one store. `longest`: seconds for one image."""

    def __init__(self, settings: Settings, store: Store, longest: float = TIMEOUT) -> None:
        self._elsewhere, self._longest, self._store = Elsewhere(settings, store), longest, store
        self._checked = set[str]()

    def fetch(self, package: Package, tree: Tree) -> Mapping[str, AppImage]:
        """The base images of a package, by their names.

        Raises:
            MissingBaseError: one cannot be had, is not for our machines, or must be signed and is not.
        """
        return {name: self._fetch(package, name, tree) for name in package.bases}

    def _fetch(self, package: Package, name: str, tree: Tree) -> AppImage:
        try:
            image = self._elsewhere.image(name, lambda pull: within(self._longest, pull, name))
            self._elsewhere.check_tags({name: image}, tree)
            if image.digest not in self._checked:
                within(self._longest, lambda: check_layers(self._store, image), name)
                self._checked.add(image.digest)
            if _has_triggers(image):
                hint = "write what its ONBUILD does into the Dockerfile, and take the image below it"
                raise RegistryError("it has steps of its own for whoever stands on it (ONBUILD)", hint=hint)
        except RegistryError as error:
            message = f"{_place(package, name, tree)}: base image {name} cannot be had: {error.message}"
            raise MissingBaseError(message, hint=error.hint or HINT, transient=True) from error
        return image


def _place(package: Package, name: str, tree: Tree) -> str:
    """The file and line that name a base image."""
    path, known = f"{package.path}/Dockerfile", pins(tree)
    file = Dockerfile.parse(tree.read(path), dict(package.build_args))
    return f"{path}:{next((each.line for each in file.outside if each.pinned(known) == name), 1)}"


def _has_triggers(image: AppImage) -> bool:
    """Engines read members of JSON whatever their case is."""
    inside = json.loads(image.config).get("config")
    return isinstance(inside, Mapping) and any(inside[key] for key in inside if key.lower() == "onbuild")


HINT = "is the name right? `toweros image import FOLDER` takes an image out of an OCI layout"
