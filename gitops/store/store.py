"""The store: one folder and one database, and an object for each kind of thing that is kept there."""

import fcntl
from pathlib import Path

from gitops.errors import StoreError, TowerosError
from gitops.model import Existing, Fleet, Publication, Release, Revision
from gitops.settings import Settings
from gitops.store import schema, tables
from gitops.store.boxes import Boxes
from gitops.store.builds import Builds
from gitops.store.database import HINT, Database, database_url
from gitops.store.files import photograph
from gitops.store.files.attestations import Attestations
from gitops.store.files.blobs import Blobs, Layers
from gitops.store.files.layout import Layout
from gitops.store.history.events import Events
from gitops.store.history.sightings import Sightings
from gitops.store.holds import Holds
from gitops.store.lease import Lease
from gitops.store.notes.documents import Planned
from gitops.store.notes.notes import Notes
from gitops.store.offers import Offers
from gitops.store.rows.mending import mend
from gitops.store.rows.words import Words
from gitops.store.states import States


class Store:
    """Everything that the controller remembers. `paths` says where a stage's own folder is."""

    def __init__(self, root: Path, url: str, *, migrate: bool = False) -> None:
        self.paths = Layout(root)
        self.blobs = Blobs(self.paths.blobs, ours=True)
        self.layers = Layers(self.paths.layers)
        self.attestations = Attestations(self.paths.attestations)
        self._database = Database.open(url)
        self._settle(migrate)
        self.builds = Builds(self._database, self.blobs, self.layers)
        self.lease = Lease(self._database, self.paths)
        self.offers = Offers(self._database, self.lease)
        self.boxes = Boxes(self._database)
        self.states = States(self._database)
        self.words = Words(self._database)
        self.holds = Holds(self._database, self.lease)
        self.events = Events(self._database)
        self.notes = Notes(self._database, self.lease)
        self.sightings = Sightings(self._database, self.lease)

    @classmethod
    def open(cls, root: Path, url: str = "", *, migrate: bool = False, restoring: bool = False) -> "Store":
        """Open or make a store. `url` is that of its database; empty: SQLite, in the folder. `restoring`: even one that
        a restore left half done.

        Raises:
            StoreError: the folder cannot be written; the database is damaged, away, or another version's (`migrate`
                brings an older one forward).
        """
        if Layout(root).restoring.exists() and not restoring:
            hint = "run `toweros restore FILE --replace` again, to its end"
            raise StoreError(f"{root} is half restored: a restore was stopped", hint=hint)
        try:
            root.mkdir(parents=True, exist_ok=True)
            return cls(root, url or f"sqlite:///{Layout(root.resolve()).database}", migrate=migrate)
        except OSError as error:
            raise StoreError(
                f"cannot use {root}: {error.strerror}", hint="pass --state, or fix its permissions"
            ) from error
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(f"the database in {root} cannot be opened: {error}", hint=HINT) from error

    @classmethod
    def of(cls, settings: Settings, *, migrate: bool = False) -> "Store":
        """The one that the settings name."""
        return cls.open(settings.state, database_url(settings), migrate=migrate)

    def _settle(self, migrate: bool) -> None:
        sqlite = migrate and self._database.engine.dialect.name == "sqlite"
        if sqlite and (wrong := photograph.check(self._database)):
            hint = f"`toweros restore FILE --replace` brings a backup back; {HINT}"
            raise StoreError(f"the database {self.paths.database} is damaged: {wrong}", hint=hint)
        if not migrate or schema.version(self._database) in ("", schema.NEWEST):
            schema.settle(self._database)
            return
        with (self.paths.root / "lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StoreError(f"a TowerOS of 0.1.0 uses {self.paths.root}", hint="stop it first") from error
            schema.settle(self._database, self._content)

    def _content(self, release: str) -> str:
        """The content digest of a release; empty when its document is gone."""
        try:
            return self.release(release).content.digest
        except (TowerosError, ValueError, KeyError):
            return ""

    def close(self) -> None:
        self._database.close()

    def lend_rows(self, other: "Store") -> None:
        """Tell a new store all that was built and offered here."""
        lent = (tables.images, tables.layers, tables.notes, tables.publications, tables.candidates)
        self._database.copy_to(other._database, lent)

    def copy_to(self, other: "Store") -> None:
        """Give another database, of the same folder, everything but the lease.

        Raises:
            StoreError: it is not empty, or a controller is at work.
        """
        if other.states.all() or other.events.latest(limit=1):
            raise StoreError("the new database is not empty", hint="make another one, and name it in `database`")
        with self.lease.held():
            everything = (table for table in tables.metadata.sorted_tables if table is not tables.leases)
            self._database.copy_to(other._database, everything)

    def photograph(self, file: Path) -> None:
        """Everything in the database as of one moment, in a new SQLite file. Whoever writes goes on."""
        photograph.take(self._database, file)

    def existing(self, *, attested: bool = False) -> Existing:
        """What the last pass left, for the next plan. `attested`: a release is whole only with its provenance."""
        planned = self.notes.get(Planned) or Planned()
        blobs, layers = self.blobs.names(), self.layers.names()
        proven = self.attestations.names() if attested else blobs | layers
        boxes: dict[str, str] = {}
        for made in self.offers.made():
            whole = blobs.issuperset(made.blobs) and layers.issuperset(made.layers)
            whole = whole and proven.issuperset((*made.blobs[:1], *made.layers))
            boxes[made.box] = made.key if whole else ""
        return Existing(self.builds.usable(), boxes, planned.packages)

    def mend(self, box: str) -> None:
        """Write the damaged rows of a box's offers again."""
        mend(self._database, self.lease, box)

    def save_planned(self, revision: Revision, fleet: Fleet) -> None:
        """Remember what was carried out, when that is another revision than before."""
        packages = {path: package.key for path, package in fleet.packages.items()}
        if (planned := Planned(revision.commit, tuple(sorted(fleet.boxes)), packages)) != self.notes.get(Planned):
            self.notes.put(planned)

    def whole(self, publication: Publication) -> bool:
        """Whether all files that its box would fetch are there."""
        blobs, layers = publication.files.values(), publication.release.layers()
        return all(self.blobs.has(ref.sha256) for ref in blobs) and all(self.layers.has(layer.root) for layer in layers)

    def release(self, digest: str) -> Release:
        """A release by the digest of its document.

        Raises:
            StoreError: it is no longer there.
            DocumentError: it is of another format.
        """
        return Release.parse(self.blobs.read(digest))
