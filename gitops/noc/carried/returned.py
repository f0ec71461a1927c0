"""Reports that came back in a bundle: taken as if the boxes had sent them.

In: a place, a store. Out: a word for each box. Rules: signature, name, counter and form are asked as of any report; one
that is older than what is known of the box, from another of its boots, is said and left.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException

from gitops.noc.carried.places import opened
from gitops.noc.carried.room import MAX_REPORT, NOTHING
from gitops.noc.origin import OriginError
from gitops.server.boxes.reports import is_name, take
from gitops.store import Store

SILENT = "it has not written its report"


@dataclass(frozen=True)
class Returned:
    """What came of one box's report. `taken`: it counts; `words`: why not, or what the box says of the bundle."""

    box: str
    taken: bool
    words: str


def returned(place: Path, store: Store) -> Iterator[Returned]:
    """Raises StoreError: it is no bundle; the store cannot be written."""
    with opened(place) as bundle:
        for box in bundle.words.boxes:
            if not is_name(box):
                yield Returned(box, False, "this is no box's name")
                continue
            try:
                body = bundle.source.get(f"reports/{box}.json", MAX_REPORT).rstrip(NOTHING)
                yield Returned(box, True, _take(store, box, body)) if body else Returned(box, False, SILENT)
            except OriginError as error:
                yield Returned(box, False, SILENT if error.missing else error.message)
            except HTTPException as error:
                yield Returned(box, False, f"refused: {error.detail}")


def _take(store: Store, box: str, body: bytes) -> str:
    """What the box says of the bundle. Raises HTTPException."""
    try:
        report = json.loads(json.loads(body)["report"])
        when, boot, words = int(report["time"]), str(report["boot_id"]), str(report.get("bundle", ""))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise HTTPException(400, "it is damaged: the stick was pulled out as it was written") from None
    last = store.boxes.report(box)
    if last and last.boot_id != boot and when <= last.time:
        raise HTTPException(409, "it is older than the last one that is known")
    take(store, box, body)
    return words
