"""dbx, what a box's firmware must not start, may grow and nothing else (ADR 48).

In: a report's `firmware`, and what was taken of this box before. Out: what is wrong, in words. Rules: what a box says
first is taken; so is what it vouches to have grown from what was taken (`grown`), as makers of firmware add to dbx
whenever they like; an older agent vouches for nothing, and is believed unless dbx is empty; everything else stays wrong
until it is as before, or an operator takes it.

    problem(report, store.notes.get(TakenDbx, box))    # "the firmware's dbx was emptied, so that ..."
    follow(store, report, taken)                       # once the report was kept
    take(store, "demo-1")                              # `toweros box accept-dbx`
"""

from gitops.errors import StoreError
from gitops.model import Report
from gitops.store import Store
from gitops.store.notes.box_keys import TakenDbx


def problem(report: Report, taken: TakenDbx | None) -> str:
    """ "" when nothing is wrong."""
    listed = said(report)
    if listed is None or taken is None or _holds(report, taken):
        return ""
    what = "is not what it was, and did not only grow" if listed else "was emptied"
    cure = f"restore it in the firmware's setup, or `toweros box accept-dbx {report.box}`"
    return f"the firmware's dbx {what}, so that it may start again what it refused: {cure}"


def follow(store: Store, report: Report, taken: TakenDbx | None) -> None:
    """Take what a box says first, and what has only grown since."""
    listed = said(report)
    if listed is not None and (taken is None or (taken.digest != listed and _holds(report, taken))):
        store.notes.put(TakenDbx(listed), report.box)


def take(store: Store, box: str) -> str:
    """Take what the box said last, and return its digest.

    Raises:
        StoreError: it said nothing of it.
    """
    report = store.boxes.report(box)
    listed = said(report) if report else None
    if listed is None:
        raise StoreError(f"{box} did not say what its dbx is", hint="it says so in its reports: `toweros status`")
    store.notes.put(TakenDbx(listed), box)
    return listed


def said(report: Report) -> str | None:
    """The digest of dbx; None: the box does not say."""
    listed: str | None = (report.firmware or {"keys": {}})["keys"].get("dbx")
    return listed


def _holds(report: Report, taken: TakenDbx) -> bool:
    """Whether everything that was taken is still there."""
    listed, grown = said(report), (report.firmware or {}).get("grown")
    if listed == taken.digest or not taken.digest:
        return True
    return bool(listed) if grown is None else taken.digest in grown
