"""What a builder does, whichever engine is behind it."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from gitops.model import Image, Package, Tree


class Builder(Protocol):
    """Package -> Image. Two builders give the same layers for the same package."""

    def build(self, package: Package, tree: Tree, packages: Mapping[str, Package]) -> Image:
        """Build a package whose siblings are built; its layers' tars are in `store.blobs` afterwards.

        Raises:
            BuildError: an input is missing or wrong, or the Dockerfile fails; the log's place is named.
        """

    def prune(self, keep: Iterable[str]) -> None:
        """Forget the images of all keys but these."""
