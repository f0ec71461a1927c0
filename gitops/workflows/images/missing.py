"""Images that a plan needs and that cannot be had, told before anybody merges it.

In: a fleet, the settings, the store where there is one. Out: a sentence for each, with its boxes. Rules: what is in the
store is asked of nobody; of the others, the registry is asked for manifest and config, and no layer; a registry that is
away is asked once; there is an end to it, in images and seconds. Nothing is kept.

    missing(fleet, settings, store)      # ("site-7: web.example/ntp@sha256:... cannot be had: ...",)
"""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gitops.errors import RegistryError
from gitops.model import Fleet
from gitops.oci.image import Reference, describe, fits
from gitops.oci.registry import DeniedError
from gitops.oci.trust import place_of
from gitops.oci.within import within
from gitops.settings import Settings

if TYPE_CHECKING:
    from gitops.store import Store

ANSWER, LOOK = 30, 120
"""Seconds: for one image, for all of them."""
MOST = 100
"""Images that are asked about."""
SHOWN = 5
"""Boxes that a sentence names."""


def missing(fleet: Fleet, settings: Settings, store: "Store | None") -> tuple[str, ...]:
    """What is wrong with the images that no package makes."""
    return tuple(_sentences(_wanted(fleet), settings, store))


def _wanted(fleet: Fleet) -> dict[str, list[str]]:
    """Image -> the boxes that need it."""
    wanted: dict[str, list[str]] = {}
    for box in fleet.boxes.values():
        for name in box.images_of_others():
            wanted.setdefault(name, []).append(box.name)
    return wanted


def _sentences(wanted: dict[str, list[str]], settings: Settings, store: "Store | None") -> Iterator[str]:
    away, until = dict[str, str](), time.monotonic() + LOOK
    asked = [name for name in sorted(wanted) if not (store and _here(store, name))]
    for name in asked[:MOST]:
        host = settings.registry or Reference.parse(name).host
        if time.monotonic() > until:
            yield f"not every image was asked for: the others took {LOOK} seconds"
            return
        try:
            if host in away:
                raise RegistryError(away[host])
            within(ANSWER, lambda name=name: _ask(settings, name), name)  # type: ignore[misc]
        except RegistryError as error:
            if error.transient and not isinstance(error, DeniedError):
                away[host] = error.message
            yield f"{_few(wanted[name])}: {name} cannot be had: {error.message}"


def _here(store: "Store", name: str) -> bool:
    from gitops.oci.elsewhere import stored  # with the store, this takes long to load

    return stored(store, Reference.parse(name).digest) is not None


def _ask(settings: Settings, name: str) -> None:
    registry, repository = place_of(settings, name)
    fits(describe(registry, repository, Reference.parse(name).digest), name)


def _few(boxes: list[str]) -> str:
    more = f" and {len(boxes) - SHOWN} more" if len(boxes) > SHOWN else ""
    return ", ".join(boxes[:SHOWN]) + more
