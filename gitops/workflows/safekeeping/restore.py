"""A backup becomes the state of a controller again: all of it, or nothing.

In: a file of `toweros backup`, settings. Out: a state folder and a database as they were. Rules:

- It is signed by a key of ours, unless somebody says that it need not be.
- Everything is unpacked and proven beside the state first; until then nothing is touched.
- A live state or database is replaced only when that is said, never while its controller works, and is kept aside.
- A restore that was stopped has left a mark: nothing but another restore opens such a state.
- Boxes may have seen newer metadata than the backup has: whatever is signed from now on is newer than all of it
  (`VersionFloor`), also where a clock that was ahead had raised the versions.

    Restore(settings).take(Path("toweros.backup"), replace=False, now=int(time.time()))
"""

import contextlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import structlog
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata

from gitops.errors import StoreError
from gitops.model import EventType, Happened
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.audit.log import AuditLog
from gitops.store.database import Database, database_url
from gitops.store.files import photograph
from gitops.store.files.blobs import arriving, sync_folder
from gitops.store.files.layout import Layout, Scratch
from gitops.store.notes.audited import AuditHead
from gitops.store.notes.restored import VersionFloor
from gitops.workflows.safekeeping.archive import Head, read_head, unpack
from gitops.workflows.safekeeping.elsewhere import begun_anew
from gitops.workflows.safekeeping.seal import check

log = structlog.get_logger(__name__)

DATABASE = ("toweros.db", "toweros.db-wal", "toweros.db-shm")


class Restore:
    """Into the state folder and the database that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self.audit_before: AuditHead | None = None
        """How far the audit log was that is not on this machine; None: it is, or there was none."""
        self._settings, self._paths = settings, Layout(settings.state)
        self._url = database_url(settings)

    def take(self, file: Path, *, replace: bool, now: int, unsigned: bool = False) -> Head:
        """Restore. `unsigned`: whoever made it.

        Raises:
            StoreError: the file is damaged, foreign, newer, or signed by nobody of ours; there is a state, and
                `replace` is not said, or its controller works; the disk is full.
        """
        head, seal = read_head(file)
        if not unsigned:
            check(file, seal, self._settings.keys)
        self._paths.root.mkdir(parents=True, exist_ok=True)
        with self._free(head, replace=replace) as floor, self._paths.scratch(Scratch.restore) as folder:
            new = Layout(Path(folder))
            unpack(file, head, new.root)
            self._prove(new, head, now, floor)
            self._put(new, now)
        return head

    # --- may it be? ---

    @contextlib.contextmanager
    def _free(self, head: Head, *, replace: bool) -> Iterator[int]:
        """The place is empty; or it is to be replaced, and nobody works there while the context lasts. Yields the
        version floor of what is replaced."""
        identity = self._paths.identity
        own = identity.read_text().strip() if identity.is_file() else ""
        with contextlib.ExitStack() as stack:
            store = stack.enter_context(self._controlled(head, own))
            if not replace and self._live(store):
                hint = "name an empty `state` (and `database`), or say --replace: what is there is kept aside"
                raise StoreError(f"{self._paths.root} is a controller's state already", hint=hint)
            folder = photograph.goes_with(Database.open(self._url)) if self._url else ""
            for known, place in ((own, str(self._paths.root)), (folder, "the database")):
                if known and known != head.folder:
                    hint = "restore it into an empty `state` (and `database`), or name a backup of this one"
                    raise StoreError(f"the backup is of another controller than {place}", hint=hint)
            if store:
                stack.enter_context(store.lease.held())
            yield ((store and store.notes.get(VersionFloor)) or VersionFloor()).version

    @contextlib.contextmanager
    def _controlled(self, head: Head, own: str) -> Iterator[Store | None]:
        """The store whose lease keeps controllers away; None: there is nothing that any could work with."""
        with contextlib.ExitStack() as stack:
            if self._url and not own:
                # A new machine, and a database that lives on. Until all is proven this folder stays without a name.
                folder = Path(stack.enter_context(self._paths.scratch(Scratch.restore)))
                Layout(folder).identity.write_text(f"{head.folder}\n")
                store: Store | None = Store.open(folder, self._url)
            else:
                store = self._opened() if own else None
            if store:
                stack.callback(store.close)
            yield store

    def _live(self, store: Store | None) -> bool:
        paths = self._paths
        if any(path.exists() for path in (paths.identity, paths.database, paths.metadata, paths.restoring)):
            return True
        return bool(self._url and store and (store.states.all() or store.events.latest(limit=1)))

    def _opened(self) -> Store | None:
        """The store that is replaced; None when it is damaged: that may be why it is replaced."""
        file = self._paths.database
        if not self._url and (not file.is_file() or (wrong := photograph.problem(file))):
            log.warning("restore.damaged", database=str(file), error=wrong if file.is_file() else "missing")
            return None
        return Store.open(self._paths.root, self._url, restoring=True)

    # --- is it whole? ---

    def _prove(self, new: Layout, head: Head, now: int, floor: int) -> None:
        if wrong := photograph.problem(new.database):
            raise StoreError(f"the backup's database is damaged: {wrong}", hint="take another backup")
        self._same_keys(new)
        store = Store.open(new.root, migrate=True)
        try:
            before = store.notes.get(VersionFloor) or VersionFloor()
            self.audit_before = begun_anew(AuditLog(self._paths.audit), store)
            store.notes.put(VersionFloor(max(now, before.version, floor, self._highest() + 1)))
            when = f"{datetime.fromtimestamp(head.made, UTC):%Y-%m-%d %H:%M} UTC"
            store.events.add("", EventType.WARNING, Happened.RESTORED, f"from a backup of {when}, {head.revision}")
        finally:
            store.close()

    def _highest(self) -> int:
        """The highest version of the metadata that are replaced, or were by a restore before; 0: there are none."""
        kept = self._paths.root.glob("replaced-*/metadata")
        folders = (self._paths.metadata, *kept)
        files = [file for folder in folders for each in ("*.json", "*/*/timestamp.json") for file in folder.glob(each)]
        return max((_version(file) for file in files if not file.name.endswith("root.json")), default=0)

    def _same_keys(self, new: Layout) -> None:
        """Another fleet's backup would make metadata that no box of ours believes."""
        for path in sorted(self._settings.keys.glob("[0-9]*.root.json")):
            theirs = new.metadata / path.name
            if theirs.is_file() and _keys(theirs) != _keys(path):
                hint = "set `keys` to those of this backup, or name a backup of this fleet"
                raise StoreError(f"the backup was made with other keys than {self._settings.keys} has", hint=hint)

    # --- in its place ---

    def _put(self, new: Layout, now: int) -> None:
        """Marked from the first change to the last."""
        paths = self._paths
        with arriving(paths.restoring) as mark:
            mark.write_text("a restore was stopped here\n")
        aside = _unused(paths.root / f"replaced-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}")
        if self._url:
            aside.mkdir()
            photograph.take(Database.open(self._url), aside / paths.database.name)
        for old in (paths.metadata, *(paths.root / name for name in DATABASE if not self._url)):
            if old.exists():
                aside.mkdir(exist_ok=True)
                old.rename(aside / old.name)
        for folder in (new.blobs, new.layers, new.attestations, new.metadata):
            _move(folder, paths.root / folder.relative_to(new.root))
        if self._url:
            photograph.put_back(new.database, Database.open(self._url))
        else:
            _settle(new.database)
            new.database.rename(paths.database)
        (new.root / "id").replace(paths.identity)
        sync_folder(paths.root)
        paths.restoring.unlink()
        sync_folder(paths.root)


def _unused(folder: Path) -> Path:
    """A restore that was stopped has its own one."""
    names = (folder, *(folder.with_name(f"{folder.name}-{number}") for number in range(2, 1000)))
    return next(name for name in names if not name.exists())


def _move(folder: Path, target: Path) -> None:
    """Every file into its place, over what is there: these are proven."""
    if not folder.is_dir():
        return
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(folder.iterdir()):
        if file.is_dir():
            _move(file, target / file.name)
            continue
        _settle(file)
        file.replace(target / file.name)
    sync_folder(target)


def _settle(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _version(path: Path) -> int:
    """0: it is damaged, which may be why it is replaced."""
    try:
        return int(json.loads(path.read_bytes())["signed"]["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _keys(path: Path) -> set[str]:
    """The ids of the keys that a root names."""
    try:
        return set(Metadata.from_bytes(path.read_bytes()).signed.keys)
    except (RepositoryError, AttributeError) as error:
        raise StoreError(f"{path.name} is damaged: {error}", hint="take another backup") from error
