"""The image tools of `toweros assemble`, which needs no fleet repo: from an OCI layout, or from the controller's store.

In: `--tools`, or the settings. Out: `Tools`. Rules: none of them is unpacked before a step needs it; of a layout, the
one image in it or the one that is named media-tools; else what is deployed, else what `toweros build` made last.
"""

from collections.abc import Callable
from pathlib import Path

from gitops.assemble.formats.work import Tools
from gitops.assemble.toolbox import Toolbox
from gitops.errors import AssembleError
from gitops.model import Image
from gitops.oci.layout import OciLayout
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.files.layout import Layout
from gitops.workflows.media.tools import media_tools
from gitops.workflows.question import deployed_point

NAME = "media-tools"
HINT = "`toweros build pkg/media-tools --dir REPO` makes them (REPO as `toweros init` makes it), or name --tools LAYOUT"


class LayoutTools:
    """Implements `Tools`."""

    def __init__(self, folder: Path, state: Path) -> None:
        self._layout, self._state = OciLayout(folder), state
        names = self._layout.names()
        named = [name for name in names if NAME in name]
        if len(names) != 1 and len(named) != 1:
            there = ", ".join(names) or "nothing"
            raise AssembleError(f"{folder} holds no one image named {NAME}", hint=f"there is {there}")
        self._name = names[0] if len(names) == 1 else named[0]
        self.key = self._layout.digest(self._name)

    def unpacked(self) -> Toolbox:
        def tars(scratch: Path) -> list[Path]:
            return self._layout.layers(self._name, scratch)

        return Toolbox.of_tars(Layout(self._state).toolbox, self.key, tars)


class StoreTools:
    """Implements `Tools`."""

    def __init__(self, image: Image, store: Store) -> None:
        self._image, self._store, self.key = image, store, image.key

    def unpacked(self) -> Toolbox:
        return Toolbox.unpack(self._store, self._image)


class _Unpacked:
    """Implements `Tools`, for a toolbox that is there."""

    def __init__(self, toolbox: Toolbox) -> None:
        self._toolbox, self.key = toolbox, toolbox.key

    def unpacked(self) -> Toolbox:
        return self._toolbox


def tools(layout: Path | None, state: Path, settings: Settings, existing: Callable[[], Store | None]) -> Tools:
    """The tools. `existing`: the controller's store, if there is one.

    Raises:
        AssembleError: there are none; the hint says what to type.
    """
    if layout is not None:
        return LayoutTools(layout, state)
    store = existing()
    if store is None:
        raise AssembleError("this format is made by pkg/media-tools, and there is no controller's store", hint=HINT)
    if deployed_point(store) is not None:
        try:
            return _Unpacked(media_tools(settings, store))
        except AssembleError:  # a fleet repo of before they were a package
            if not (made := _built(store)):
                raise
            return made
    if not (made := _built(store)):
        raise AssembleError("this format is made by pkg/media-tools, which is not built yet", hint=HINT)
    return made


def _built(store: Store) -> Tools | None:
    image = built(store, NAME)
    return StoreTools(image, store) if image else None


def built(store: Store, name: str) -> Image | None:
    """What was built last of a package."""
    images = [image for key in store.builds.usable() if (image := store.builds.image(key))]
    made = [image for image in images if image.reference.rpartition(":")[0].rpartition("/")[2] == name]
    when = {image.key: max(store.blobs.path(layer).stat().st_mtime for layer in image.layers) for image in made}
    return max(made, key=lambda image: (when[image.key], image.key), default=None)
