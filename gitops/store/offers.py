"""What boxes are offered, and the candidates that wait until the rollout lets their boxes take them."""

import time
from collections.abc import Iterable, Mapping

from sqlalchemy import Table, delete, select

from gitops.model import Json, Publication
from gitops.store import documents, tables
from gitops.store.database import Database, upsert

KEPT = 90 * 86400
"""Seconds that the revision of a release stays known after it was published last."""


class Offers:
    """Per box: the published release, and a candidate if there is one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def published(self, box: str) -> Publication | None:
        return self._one(tables.publications, box)

    def candidate(self, box: str) -> Publication | None:
        return self._one(tables.candidates, box)

    def all_published(self) -> dict[str, Publication]:
        return self._all(tables.publications)

    def all_candidates(self) -> dict[str, Publication]:
        return self._all(tables.candidates)

    def box_keys(self) -> dict[str, str]:
        """Box -> the `box_key` that its newest release was made from."""
        found: dict[str, str] = {}
        with self._database.read() as connection:
            for table in (tables.publications, tables.candidates):
                found |= {row.box: row.box_key for row in connection.execute(select(table.c.box, table.c.box_key))}
        return found

    def save_candidate(self, publication: Publication, box_key: str) -> None:
        """Keep a signed release until the rollout lets its box take it."""
        self._save(tables.candidates, publication, box_key)

    def save_published(self, publication: Publication, box_key: str) -> None:
        """The box is offered this now, whatever it was made from before."""
        self._save(tables.publications, publication, box_key)

    def promote(self, boxes: Iterable[str]) -> None:
        """The rollout let these boxes take their candidates: they are what is offered now."""
        with self._database.write() as connection:
            for box in boxes:
                where = tables.candidates.c.box == box
                row = connection.execute(select(tables.candidates).where(where)).one()
                columns = {name: value for name, value in row._mapping.items() if name != "box"}
                upsert(connection, tables.publications, {"box": box}, columns)
                connection.execute(delete(tables.candidates).where(where))
                published = {name: columns[name] for name in ("content", "revision")} | {"published": int(time.time())}
                upsert(connection, tables.releases, {"release": columns["release"]}, published)
            connection.execute(delete(tables.releases).where(tables.releases.c.published < time.time() - KEPT))

    def forget_candidate(self, box: str) -> None:
        self._forget(tables.candidates, box)

    def forget_published(self, box: str) -> None:
        self._forget(tables.publications, box)

    def revisions(self) -> Mapping[str, str]:
        """Release digest -> revision, of what was published lately."""
        with self._database.read() as connection:
            rows = connection.execute(select(tables.releases.c.release, tables.releases.c.revision))
            return {row.release: row.revision for row in rows}

    def contents(self) -> Mapping[str, str]:
        """Release digest -> content digest, of what was published lately."""
        with self._database.read() as connection:
            rows = connection.execute(select(tables.releases.c.release, tables.releases.c.content))
            return {row.release: row.content for row in rows}

    def _one(self, table: Table, box: str) -> Publication | None:
        with self._database.read() as connection:
            text = connection.scalar(select(table.c.document).where(table.c.box == box))
        return documents.publication(text) if text else None

    def _all(self, table: Table) -> dict[str, Publication]:
        with self._database.read() as connection:
            rows = connection.execute(select(table.c.box, table.c.document).order_by(table.c.box)).all()
        return {row.box: documents.publication(row.document) for row in rows}

    def _save(self, table: Table, publication: Publication, box_key: str) -> None:
        with self._database.write() as connection:
            upsert(connection, table, {"box": publication.release.box}, _columns(publication) | {"box_key": box_key})

    def _forget(self, table: Table, box: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(table).where(table.c.box == box))


def _columns(publication: Publication) -> Json:
    blobs = (publication.document, publication.uki, publication.addon)
    return {
        "release": publication.document.sha256,
        "content": publication.release.content.digest,
        "revision": str(publication.revision),
        "sequence": publication.revision.sequence,
        "blobs": " ".join(ref.sha256 for ref in blobs),
        "layers": " ".join(layer.root for layer in publication.release.layers()),
        "document": documents.dump(publication),
    }
