"""A lost controller, rehearsed: a backup is restored into a temporary place, looked at, and thrown away.

In: a file of `toweros backup`, settings, the state that there is, if there is one. Out: rows, each with what was looked
at, whether it holds, and in words what was found; below them what would be lost, as it came since the backup. Rules:
the restore is the real one, so what it refuses is refused here; nothing of the state, the database and the keys is
touched; the same keys sign and prove something, and what they name is what the newest root names.

    for row in Rehearsal(settings, live).of(Path("toweros.backup"), now): print(row.what, row.holds, row.found)
"""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from gitops.errors import TowerosError
from gitops.publish.folder import Folder
from gitops.publish.offered import offered
from gitops.publish.targets import targets_of
from gitops.settings import Settings
from gitops.sign import Signer
from gitops.sign.roots.working import proven
from gitops.store import Store
from gitops.store.history.events import Wanted
from gitops.store.notes.documents import LastDeployed, Suspended
from gitops.store.notes.people import Account, ApiToken
from gitops.workflows.access.kept import every
from gitops.workflows.acting.acting import audit_log
from gitops.workflows.safekeeping.archive import Head
from gitops.workflows.safekeeping.restore import Restore

NAMED, COUNTED = 6, 10_000
"""Boxes that a row names, and events that are counted."""


class Holds(StrEnum):
    """How a row ended."""

    yes = "ok"
    no = "bad"
    lost = "lost"
    same = "same"


@dataclass(frozen=True)
class Row:
    """One thing that was looked at."""

    what: str
    holds: Holds
    found: str


class Rehearsal:
    """Of one controller. `live`: its state, to be compared with; None: this machine has none."""

    def __init__(self, settings: Settings, live: Store | None) -> None:
        self._settings, self._live = settings, live

    def of(self, file: Path, now: int, *, unsigned: bool = False) -> list[Row]:
        """Restore it, look, and throw it away.

        Raises:
            StoreError: it would be refused in earnest, too.
        """
        with tempfile.TemporaryDirectory(prefix="toweros-rehearsal-") as folder:
            place = {"state": Path(folder) / "state", "database": "", "database_file": None}
            settings = self._settings.model_copy(update=place)
            head = Restore(settings).take(file, replace=False, now=now, unsigned=unsigned)
            store = Store.open(settings.state)
            try:
                rows = [*_whole(file, head, unsigned=unsigned), *self._keys(now), *self._offers(store)]
                return [*rows, *(self._since(store, head) if self._live else _nothing_here())]
            finally:
                store.close()

    def _keys(self, now: int) -> Iterator[Row]:
        try:
            yield Row("keys", Holds.yes, f"{', '.join(proven(self._settings.keys, now))} sign, and are proven")
        except TowerosError as error:
            yield Row("keys", Holds.no, "; ".join(filter(None, (error.message, error.hint))))

    def _offers(self, store: Store) -> Iterator[Row]:
        """What the metadata of the backup offer is what its database says that boxes were given."""
        try:
            signed = offered(Signer.open(self._settings.keys, store), Folder(store.paths.metadata), store)
        except TowerosError as error:
            yield Row("what boxes are offered", Holds.no, error.message)
            return
        made = {path: target for each in store.offers.each() for path, target in targets_of(each).items()}
        wrong = {path.partition("/")[0] for path, target in made.items() if _other(signed.get(path), target)}
        boxes = {path.partition("/")[0] for path in made}
        if wrong:
            yield Row("what boxes are offered", Holds.no, f"another than is signed: {_some(wrong)}")
        else:
            yield Row("what boxes are offered", Holds.yes, f"signed metadata and database agree, of {len(boxes)} boxes")

    def _since(self, old: Store, head: Head) -> Iterator[Row]:
        """What came after it."""
        live = self._live
        assert live
        last, before = (store.notes.get(LastDeployed) for store in (live, old))
        now_so, was = (str(each.revision) if each else "nothing" for each in (last, before))
        yield _row("deployed", now_so != was, f"{now_so} is, {was} would be; the next pass takes the rest from Git")
        boxes, known = (_releases(store) for store in (live, old))
        others = {box for box in boxes if box in known and boxes[box] != known[box]}
        words = f"{len(others)} boxes have another than would be published, and keep it until a newer one is: "
        yield _row("releases", bool(others), f"{words}{_some(others)}" if others else f"{len(known)} boxes have theirs")
        new = _keys_of(live).items() - _keys_of(old).items()
        yield _row("keys of boxes", bool(new), f"unknown, and to be let in again: {_some({box for box, _ in new})}")
        holds = (store.notes.get(Suspended) or Suspended() for store in (live, old))
        said = {
            box for box, _ in set.symmetric_difference(*({(b, e.why) for b, e in each.rows.items()} for each in holds))
        }
        yield _row("holds", bool(said), f"said or taken back since, to be said again: {_some(said)}")
        people = _people(live) ^ _people(old)
        yield _row("accounts, tokens", bool(people), f"made, changed or removed since: {_some({n for n, _ in people})}")
        events = len(live.events.of(Wanted(since=head.made + 1), COUNTED))
        yield _row("events", bool(events), f"{events} since")
        lines = sum(1 for _ in audit_log(live).files.lines())
        yield _row("audit log", bool(lines), f"{lines} lines: no backup has it; export it (docs/audit.md)")


def _whole(file: Path, head: Head, *, unsigned: bool) -> Iterator[Row]:
    made = f"of {datetime.fromtimestamp(head.made, UTC):%Y-%m-%d %H:%M} UTC, by TowerOS {head.version}"
    proven_by = "by whom is not looked at" if unsigned else "signed by a key of ours"
    yield Row("archive", Holds.yes, f"{file.name}: {made}; {proven_by}; all {len(head.files)} files are what is listed")
    yield Row("database", Holds.yes, f"whole; {head.revision or 'nothing deployed'}")
    if head.left_out:
        yield Row("left out", Holds.no, f"missing or damaged when it was made: {_some(set(head.left_out))}")


def _nothing_here() -> Iterator[Row]:
    yield Row("since then", Holds.same, "not known: this machine has no state to compare it with")


def _row(what: str, differs: bool, found: str) -> Row:
    return Row(what, Holds.lost if differs else Holds.same, found if differs else "nothing")


def _other(signed: object, made: object) -> bool:
    return getattr(signed, "ref", None) != getattr(made, "ref", None)


def _releases(store: Store) -> dict[str, str]:
    return {each.release.box: each.document.sha256 for each in store.offers.each()}


def _keys_of(store: Store) -> dict[str, str]:
    rows = ((state.name, store.boxes.row(state.name)) for state in store.states.all())
    return {name: row.public_key for name, row in rows if row}


def _held(store: Store) -> set[tuple[str, str]]:
    rows = (store.notes.get(Suspended) or Suspended()).rows
    return {(box, f"{each.who}: {each.why}") for box, each in rows.items()}


def _people(store: Store) -> set[tuple[str, str]]:
    accounts = {(name, str(each.changed)) for name, each in every(store.notes, Account).items()}
    return accounts | {(each.name, each.digest) for each in every(store.notes, ApiToken).values()}


def _some(names: Iterable[str]) -> str:
    found = sorted(names)
    return ", ".join(found[:NAMED]) + (f" and {len(found) - NAMED} more" if len(found) > NAMED else "")
