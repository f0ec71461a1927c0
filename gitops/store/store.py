"""The store: one object that finds and keeps every noun."""

import contextlib
import fcntl
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Table, delete, func, insert, select, update
from sqlalchemy.engine import Connection

from gitops.errors import StoreError
from gitops.model import Existing, Fleet, Image, Json, Layer, Publication, Release, Report, Revision, canonical
from gitops.store import database as db
from gitops.store import documents
from gitops.store.blobs import Blobs, Layers
from gitops.store.database import BoxRow, Event

EVENTS_KEPT = 10_000
HOUR = 3600.0
LEFTOVERS = {
    ".build-*": 0.0,
    ".fetch-*": 0.0,
    ".plan-*": 24 * HOUR,
    **dict.fromkeys((".extract-*", ".tar-*", "toolbox/.new-*", "toolbox/*/work/*"), HOUR),
    **dict.fromkeys(("blobs/sha256/.new-*", "layers/.new-*", "layers/deltas/*/.new-*"), HOUR),
}
"""Temporary names in the state folder, and the seconds of silence after which nobody works there any more."""
REVISIONS = "revisions"
"""The store's document that names the revision of each release published lately, for people."""
PLANNED = "planned"
"""The document on the last revision that was carried out: its commit, boxes, and packages with their keys."""


class Store:
    """Everything below one folder: `blobs/`, `layers/`, `toweros.db`, and room for the stages' own folders."""

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        self.blobs = Blobs(root / "blobs" / "sha256")
        self.layers = Layers(root / "layers")
        self._engine = db.connect(url)

    @classmethod
    def open(cls, root: Path, url: str = "") -> "Store":
        """Open or make a store.

        Raises:
            StoreError: the folder cannot be written, or the database is damaged.
        """
        try:
            root.mkdir(parents=True, exist_ok=True)
            return cls(root, url or f"sqlite:///{root.resolve()}/toweros.db")
        except OSError as error:
            raise StoreError(
                f"cannot use {root}: {error.strerror}", hint="pass --state, or fix its permissions"
            ) from error
        except Exception as error:
            raise StoreError(
                f"the database in {root} cannot be opened: {error}", hint="see docs/operations.md, Store"
            ) from error

    def close(self) -> None:
        self._engine.dispose()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store for one controller; the kernel lets go when we die."""
        with (self.root / "lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StoreError(f"{self.root} is in use by another controller", hint="stop it first") from error
            self._sweep()
            yield

    # --- what was built ---

    def image(self, key: str) -> Image | None:
        text = self._document(db.images, key)
        return documents.image(text) if text else None

    def save_image(self, image: Image) -> None:
        self._save(db.images, {"key": image.key}, {"document": documents.dump(image)})

    def image_keys(self) -> frozenset[str]:
        with self._engine.connect() as connection:
            return frozenset(connection.scalars(select(db.images.c.key)))

    def forget_image(self, key: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(db.images).where(db.images.c.key == key))

    def layer(self, diff_id: str, recipe: int) -> Layer | None:
        columns = db.layers.c
        query = select(columns.root, columns.size).where(columns.diff_id == diff_id, columns.recipe == recipe)
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return Layer(row.root, row.size) if row and self.layers.has(row.root) else None

    def save_layer(self, diff_id: str, recipe: int, layer: Layer) -> None:
        self._save(db.layers, {"diff_id": diff_id, "recipe": recipe}, {"root": layer.root, "size": layer.size})

    # --- small documents ---

    def value(self, name: str) -> Json | None:
        text = self._document(db.values, name)
        return json.loads(text) if text else None

    def set_value(self, name: str, value: Json | None) -> None:
        if value is None:
            with self._engine.begin() as connection:
                connection.execute(delete(db.values).where(db.values.c.name == name))
            return
        self._save(db.values, {"name": name}, {"document": canonical(value).decode()})

    def existing(self) -> Existing:
        """What the last pass left, for the next plan."""
        known = self.value(PLANNED) or {}
        newest = self.publications() | {found[0].release.box: found for found in self._candidates()}
        boxes = {name: key if self.whole(found) else "" for name, (found, key) in newest.items()}
        images = frozenset(image.key for image in self._images() if all(map(self.blobs.has, image.layers)))
        return Existing(images, boxes, known.get("packages", {}))

    def whole(self, publication: Publication) -> bool:
        """Whether all files that its box would fetch are there."""
        blobs = (publication.document, publication.uki, publication.addon)
        layers = publication.release.layers()
        return all(self.blobs.has(ref.sha256) for ref in blobs) and all(self.layers.has(layer.root) for layer in layers)

    def save_planned(self, revision: Revision, fleet: Fleet) -> None:
        """Remember what was carried out, when that is another revision than before."""
        packages = {path: package.key for path, package in fleet.packages.items()}
        planned = {"commit": revision.commit, "boxes": sorted(fleet.boxes), "packages": packages}
        if planned != self.value(PLANNED):
            self.set_value(PLANNED, planned)

    # --- boxes ---

    def boxes(self) -> list[BoxRow]:
        joined = select(db.boxes, db.reports.c.received, db.reports.c.since).select_from(
            db.boxes.outerjoin(db.reports, db.boxes.c.name == db.reports.c.box)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(joined.order_by(db.boxes.c.name)).mappings()
            return [BoxRow(**{name: value or 0 for name, value in row.items()}) for row in rows]  # type: ignore[arg-type]

    def box(self, name: str) -> BoxRow | None:
        return next((row for row in self.boxes() if row.name == name), None)

    def enroll(self, name: str, public_key: str) -> None:
        """Remember a box's public key (Ed25519, hex); a replaced box gets a new one."""
        self._save(db.boxes, {"name": name}, {"public_key": public_key, "enrolled": int(time.time()), "revoked": 0})

    def revoke(self, name: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(update(db.boxes).where(db.boxes.c.name == name).values(revoked=int(time.time())))

    def save_publication(self, publication: Publication, box_key: str) -> None:
        box = publication.release.box
        self._save(db.publications, {"box": box}, {"box_key": box_key, "document": documents.dump(publication)})

    def publication(self, box: str) -> tuple[Publication, str] | None:
        with self._engine.connect() as connection:
            row = connection.execute(select(db.publications).where(db.publications.c.box == box)).first()
        return (documents.publication(row.document), row.box_key) if row else None

    def publications(self) -> dict[str, tuple[Publication, str]]:
        with self._engine.connect() as connection:
            rows = connection.execute(select(db.publications)).all()
        return {row.box: (documents.publication(row.document), row.box_key) for row in rows}

    def forget_publication(self, box: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(db.publications).where(db.publications.c.box == box))

    def save_candidate(self, publication: Publication, box_key: str) -> None:
        """Keep a signed release until the rollout lets its box take it."""
        box = publication.release.box
        self._save(db.candidates, {"box": box}, {"box_key": box_key, "document": documents.dump(publication)})

    def candidate(self, box: str) -> tuple[Publication, str] | None:
        with self._engine.connect() as connection:
            row = connection.execute(select(db.candidates).where(db.candidates.c.box == box)).first()
        return (documents.publication(row.document), row.box_key) if row else None

    def candidates(self) -> list[Publication]:
        return [found for found, _ in self._candidates()]

    def promote_candidate(self, box: str) -> None:
        """The rollout let the box take it: it is what the box is asked to run now."""
        with self._engine.begin() as connection:
            row = connection.execute(select(db.candidates).where(db.candidates.c.box == box)).one()
            columns = {"box_key": row.box_key, "document": row.document}
            _upsert(connection, db.publications, {"box": box}, columns)
            connection.execute(delete(db.candidates).where(db.candidates.c.box == box))

    def forget_candidate(self, box: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(db.candidates).where(db.candidates.c.box == box))

    def release(self, digest: str) -> Release:
        """A release by the digest of its document.

        Raises:
            StoreError: it is no longer there.
        """
        return documents.release(json.loads(self.blobs.read(digest)))

    # --- what boxes say ---

    def save_report(self, report: Report, now: int | None = None) -> bool:
        """Keep the newest report of a box. False: this (boot, counter) or a later one of that boot was seen already."""
        received = int(time.time()) if now is None else now
        with self._engine.begin() as connection:
            if not self._count(connection, report):
                return False
            row = connection.execute(select(db.reports).where(db.reports.c.box == report.box)).first()
            since = row.since if row and _same_state(documents.report(row.document), report) else received
            columns = {"received": received, "since": since, "document": documents.dump(report)}
            _upsert(connection, db.reports, {"box": report.box}, columns)
        return True

    def report(self, box: str) -> Report | None:
        with self._engine.connect() as connection:
            text = connection.scalar(select(db.reports.c.document).where(db.reports.c.box == box))
        return documents.report(text) if text else None

    def add_event(self, box: str, type: str, reason: str, message: str) -> None:
        """Append to the log of what happened; the oldest go when there are too many."""
        row = {"time": int(time.time()), "box": box, "type": type, "reason": reason, "message": message}
        with self._engine.begin() as connection:
            connection.execute(insert(db.events).values(**row))
            last = connection.scalar(select(func.max(db.events.c.id))) or 0
            connection.execute(delete(db.events).where(db.events.c.id <= last - EVENTS_KEPT))

    def events(self, box: str | None = None, limit: int = 50) -> list[Event]:
        query = select(db.events).order_by(db.events.c.id.desc()).limit(limit)
        if box is not None:
            query = query.where(db.events.c.box == box)
        with self._engine.connect() as connection:
            return [Event(r.time, r.box, r.type, r.reason, r.message) for r in connection.execute(query)]

    # --- inside ---

    def _candidates(self) -> list[tuple[Publication, str]]:
        with self._engine.connect() as connection:
            rows = connection.execute(select(db.candidates)).all()
        return [(documents.publication(row.document), row.box_key) for row in rows]

    def _images(self) -> list[Image]:
        with self._engine.connect() as connection:
            return [documents.image(text) for text in connection.scalars(select(db.images.c.document))]

    def _sweep(self) -> None:
        """Remove what a killed controller left. Only a holder of the lock builds; `box image` works beside it."""
        for pattern, age in LEFTOVERS.items():
            for path in self.root.glob(pattern):
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - path.lstat().st_mtime >= age:
                        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def _count(self, connection: Connection, report: Report) -> bool:
        columns = db.boots.c
        here = (columns.box == report.box) & (columns.boot_id == report.boot_id)
        seen = connection.scalar(select(columns.counter).where(here))
        if seen is not None and report.counter <= seen:
            return False
        _upsert(connection, db.boots, {"box": report.box, "boot_id": report.boot_id}, {"counter": report.counter})
        return True

    def _document(self, table: Table, key: str) -> str | None:
        column = next(iter(table.primary_key.columns))
        with self._engine.connect() as connection:
            return connection.scalar(select(table.c.document).where(column == key))

    def _save(self, table: Table, key: Json, columns: Json) -> None:
        with self._engine.begin() as connection:
            _upsert(connection, table, key, columns)


def _upsert(connection: Connection, table: Table, key: Json, columns: Json) -> None:
    """Update, or insert where there was nothing: understood by every database."""
    where: list[Any] = [table.c[name] == value for name, value in key.items()]
    if connection.execute(update(table).where(*where).values(**columns)).rowcount == 0:
        connection.execute(insert(table).values(**key, **columns))


def _same_state(before: Report, after: Report) -> bool:
    """Whether a person would say that nothing changed since the last report."""
    return replace(before, boot_id="", counter=0, time=0, fetched={}, checks=()) == replace(
        after, boot_id="", counter=0, time=0, fetched={}, checks=()
    )
