"""Boxes that have seen more than this controller knows of: it was restored from an older backup, or Git lost commits.

In: reports, and what is published. Out: what somebody should do, in words; and versions of metadata that boxes believe.
Rules: a box takes no metadata older than those it has seen, and no release that is not newer than what it runs; so
nothing older is published, versions rise above all that was ever signed (`VersionFloor`), and what only people can mend
is said until it is. What a box says of versions and releases is believed within reason: one that lies costs one
signature an hour, and nobody is ever told to do what it makes up.

    notice(store, report, now)                      # with each report
    outrun(store, revision, now)                    # with each pass: who is to get a newer release
    warnings(store, revision, settings.epoch)       # after it
"""

import contextlib
import json

import structlog

from gitops.errors import StoreError
from gitops.model import EventType, Happened, Json, Report, Revision, sha256
from gitops.model.paths.repositories import box_repository
from gitops.store import Store
from gitops.store.notes.restored import VersionFloor

log = structlog.get_logger(__name__)

AGAIN = 3600
"""Seconds between two times that versions are raised."""
SLACK = 86400
"""Seconds that our clock may be behind. No version above was ever signed: nobody signs more than one a second."""
HURRY = 600
"""Seconds that a version may be ahead of the clock: what is signed several times a second counts on."""
LOST = 1_000_000
"""Commits that Git may have lost. Who claims a release beyond lies: no epoch follows it, as none is taken back."""
TOLD_IN = 20
"""The events of a box among which nothing is told twice."""
NOT_BELIEVED = (
    "it says that it has seen metadata of a version that nobody can have signed yet, which is not believed: it lies, or"
    " a clock was far ahead once; if it takes nothing, restore the newest backup"
)


def notice(store: Store, report: Report, now: int) -> None:
    """Raise all versions when a box believes metadata that are newer than the published ones, or others."""
    if report.trusted is None or not (why := _newer(store, report.box, report.trusted)):
        return
    if report.trusted["timestamp"] > now + SLACK or report.trusted["snapshot"] > now + SLACK:
        log.warning("ahead.not_believed", box=report.box, version=report.trusted["timestamp"])
        with contextlib.suppress(StoreError):
            _tell(store, report.box, NOT_BELIEVED)
        return
    with contextlib.suppress(StoreError):  # a report is taken, whatever becomes of this
        seen = max(report.trusted["timestamp"], report.trusted["snapshot"])
        _raise(store, report.box, why, max(now, min(seen + 1, now + HURRY)))


def outrun(store: Store, revision: Revision, now: int) -> frozenset[str]:
    """The boxes that need a release of this revision, as they run a newer one than they are offered, or that waits."""
    ahead, _ = _claims(store, revision)
    if ahead and not (store.notes.get(VersionFloor) or VersionFloor()).version:
        box = max(ahead, key=lambda name: ahead[name])
        _raise(store, box, f"it runs release {ahead[box]}, which is not known here", now)
    waits = {state.name: state.candidate.sequence for state in store.states.all()} if ahead else {}
    return frozenset(name for name, sequence in ahead.items() if waits.get(name, 0) <= sequence < revision.sequence)


def warnings(store: Store, revision: Revision, epoch: int) -> tuple[str, ...]:
    """What somebody should do about boxes that run newer releases than Git has."""
    ahead, liars = _claims(store, revision)
    told = tuple(
        f"{name} claims release {sequence} (Git: {revision.sequence}): it lies or is damaged; revoke it:"
        f" `toweros box revoke {name}`"
        for name, sequence in sorted(liars.items())[:TOLD_IN]
    )
    lost = [name for name in sorted(ahead) if ahead[name] >= revision.sequence]
    if not lost:
        return told
    box = max(lost, key=lambda name: ahead[name])
    others = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    needed = epoch + ahead[box] - revision.sequence + 1
    return (
        f"{box}{others} run newer releases than Git has ({ahead[box]}, Git: {revision.sequence}): Git or this state is"
        f" older than what was published. They take nothing meanwhile, and go on as they are. Push the commits that are"
        f" missing; or, if they are lost, set `epoch = {needed}` in toweros.toml",
        *told,
    )


def _claims(store: Store, revision: Revision) -> tuple[dict[str, int], dict[str, int]]:
    """Box -> the release that it runs though it was not offered it: those that can be true, and those that cannot."""
    ahead, most = store.states.ahead(), revision.sequence + LOST
    true = {box: sequence for box, sequence in ahead.items() if sequence <= most}
    return true, {box: sequence for box, sequence in ahead.items() if box not in true}


def _raise(store: Store, box: str, why: str, now: int) -> None:
    last = store.notes.get(VersionFloor) or VersionFloor()
    if last.at_once and abs(now - last.version) < AGAIN:  # a floor may be ahead of the clock
        return
    store.notes.put(VersionFloor(max(now, last.version), at_once=True))
    words = f"{why}: this state is older than what was published; all versions of the metadata rise above it"
    store.events.add(box, EventType.WARNING, Happened.BEHIND, words)
    log.warning("ahead.raised", box=box, why=why)


def _tell(store: Store, box: str, words: str) -> None:
    """Once, however often it says so."""
    if words not in {event.message for event in store.events.latest(box, TOLD_IN)}:
        store.events.add(box, EventType.WARNING, Happened.BEHIND, words)


def _newer(store: Store, box: str, trusted: Json) -> str:
    """What a box believes and we have not published; empty: nothing."""
    folder = store.paths.metadata / box_repository(box) if trusted.get("own") else store.paths.metadata
    try:
        data = (folder / "timestamp.json").read_bytes()
        signed = json.loads(data)["signed"]
        version, snapshot = int(signed["version"]), int(signed["meta"]["snapshot.json"]["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if trusted["timestamp"] > version:
        return f"it has seen timestamp {trusted['timestamp']}, published is {version}"
    if trusted["snapshot"] > snapshot:
        return f"it has seen snapshot {trusted['snapshot']}, published is {snapshot}"
    if trusted["timestamp"] == version and trusted["sha256"] != sha256(data):
        return f"it has seen another timestamp {version}"
    return ""
