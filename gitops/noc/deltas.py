"""Deltas at a site: made here, of layers that were proven here, so they need neither a line nor a proof.

In: a copy, what each box is offered and has all content of. Out: `layers/deltas/OLD/NEW.zst`, from what the box was
offered before. Rules: a delta that cannot be made costs a delta; they are the first that goes where room is needed.

    make(copy, {"site-7": release})
"""

import contextlib
import json
from collections.abc import Mapping

import structlog

from gitops.errors import DocumentError, StoreError, TowerosError, readable
from gitops.model import Release, canonical
from gitops.noc.copy import Copy
from gitops.publish.transfers import make_delta, pairs
from gitops.store.files.blobs import arriving

log = structlog.get_logger(__name__)
MEMORY = "offered.json"
"""Box -> the release that it was offered last."""


def make(copy: Copy, releases: Mapping[str, Release]) -> None:
    """Raises StoreError: what was offered cannot be remembered."""
    if not copy.raw:
        return
    last = _remembered(copy)
    now = {box: release.digest for box, release in releases.items()}
    for box, release in releases.items():
        if last.get(box) != now[box] and (before := _read(copy, last.get(box, ""))):
            _between(copy, before, release)
    if {**last, **now} != last:
        with arriving(copy.root / MEMORY) as new:
            new.write_bytes(canonical({**last, **now}))


def _between(copy: Copy, before: Release, after: Release) -> None:
    for old, new in pairs(before, after):
        try:
            if copy.lack(2 * copy.layers.path(new).stat().st_size) <= 0:
                make_delta(copy.layers, old, new)
        except (TowerosError, OSError) as error:
            log.warning("noc.no_delta", old=old, new=new, why=readable(error).message)


def _read(copy: Copy, digest: str) -> Release | None:
    """A release document that is still here."""
    with contextlib.suppress(StoreError, DocumentError):
        return Release.parse(copy.blobs.read(digest)) if digest else None
    return None


def _remembered(copy: Copy) -> dict[str, str]:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        rows = json.loads((copy.root / MEMORY).read_bytes()).items()
        return {box: digest for box, digest in rows if isinstance(digest, str) and len(digest) == 64}
    return {}
