"""What a builder does, whichever engine is behind it, and what all of them share."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from gitops.fleet.packages import SIBLING
from gitops.model import Image, Package, Tree
from gitops.store import Store

LABEL = "org.mobyproject.config"
NAME = "localhost/toweros"
"""The repository of our images in an engine's own storage; the tag is the package's key."""
CONFIG = ("Cmd", "Entrypoint", "Env", "ExposedPorts", "Labels", "StopSignal", "User", "Volumes", "WorkingDir")
"""The members of an image's config that the OCI image specification knows; the engine adds others of its own."""
TIMEOUT = 3600.0
"""Seconds that one build may take."""


class Builder(Protocol):
    """Package -> Image. Two builders give the same layers for the same package."""

    def build(self, package: Package, tree: Tree, packages: Mapping[str, Package]) -> Image:
        """Build a package whose siblings are built; its layers' tars are in `store.blobs` afterwards.

        Raises:
            BuildError: an input is missing or wrong, or the Dockerfile fails; the log's place is named.
        """

    def prune(self, keep: Iterable[Package]) -> None:
        """Forget the images of all packages but these, and the base images that none of these stands on."""


def existing(store: Store, package: Package) -> Image | None:
    """The image of a package, if it was built and its layers are still here."""
    image = store.builds.image(package.key)
    return image if image and all(map(store.blobs.has, image.layers)) else None


def arguments(package: Package, packages: Mapping[str, Package]) -> dict[str, str]:
    """The build arguments, siblings by the names of their images."""

    def value(text: str) -> str:
        return f"{NAME}:{packages[text.removeprefix(SIBLING)].key}" if text.startswith(SIBLING) else text

    return {name: value(text) for name, text in package.build_args}


def log_file(store: Store, package: Package) -> Path:
    """Where the talk of the last build of a package goes."""
    folder = store.paths.root / "logs"
    folder.mkdir(exist_ok=True)
    return folder / f"build-{package.path.replace('/', '-')}.log"
