"""What boxes are offered, and the candidates that wait until the rollout lets their boxes take them."""

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Table, bindparam, delete, select
from sqlalchemy.engine import Connection

from gitops.model import Publication
from gitops.store import documents, tables
from gitops.store.database import Database, upsert
from gitops.store.lease import Lease
from gitops.store.rows.columns import columns_of
from gitops.store.rows.reading import DIGEST, DamagedRowError, damage, whole

log = structlog.get_logger(__name__)

KEPT = 90 * 86400
"""Seconds that the content and revision of a release stay known after it was published last."""

# Made once: to make a statement takes longer than to run it.
OFFERED = select(tables.publications.c.document).where(tables.publications.c.box == bindparam("box"))
SLICE = 1000
"""Boxes that one statement names: databases bound the number of parameters."""


@dataclass(frozen=True)
class Made:
    """A box, the `box_key` that its release was made from, and the names of the files that it fetches."""

    box: str
    key: str
    blobs: Sequence[str]
    layers: Sequence[str]


class Offers:
    """Per box: the published release, and a candidate if there is one."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database, self._lease = database, lease

    def published(self, box: str) -> Publication | None:
        """None for what is damaged, too: it is made again, and takes its place."""
        try:
            with damage(), self._database.read() as connection:
                text = connection.scalar(OFFERED, {"box": box})
                return documents.publication(text) if text else None
        except DamagedRowError as error:
            log.warning("offer.damaged", box=box, error=error.message)
            return None

    def waiting(self, sequence: int) -> frozenset[str]:
        """The boxes whose candidates wait, but for those of revisions after `sequence`: Git has gone back."""
        query = select(tables.candidates.c.box).where(tables.candidates.c.sequence <= sequence)
        return frozenset(row.box for row in whole(self._database, query))

    def candidates(self, boxes: Collection[str]) -> list[Publication]:
        """What waits for these boxes, by name."""
        names, columns, texts = sorted(boxes), tables.candidates.c, list[str]()
        with self._database.read() as connection:
            for start in range(0, len(names), SLICE):
                query = select(columns.document).where(columns.box.in_(names[start : start + SLICE]))
                texts += connection.scalars(query.order_by(columns.box))
        return [documents.publication(text) for text in texts]

    def made(self) -> Iterator[Made]:
        """What the newest release of each box was made from, and its files; candidates come last. Of a damaged row
        there is no key, so that it is made again."""
        for table in (tables.publications, tables.candidates):
            names = ("box", "box_key", "blobs", "layers", "release", "content", "sequence")
            for row in whole(self._database, select(*(table.c[name] for name in names))):
                blobs, layers = str(row.blobs).split(), str(row.layers).split()
                digests = (*blobs, *layers, row.release, row.content)
                sound = isinstance(row.sequence, int) and all(DIGEST.fullmatch(str(each)) for each in digests)
                yield Made(row.box, row.box_key if sound else "", blobs, layers)

    def each(self) -> Iterator[Publication]:
        """All that boxes are offered and all that waits, one by one. Raises DamagedRowError: one cannot be read."""
        with self._database.read() as connection:
            for table in (tables.publications, tables.candidates):
                query = select(table.c.document).execution_options(yield_per=SLICE)
                with damage():
                    yield from map(documents.publication, connection.scalars(query))

    def save_candidate(self, publication: Publication, box_key: str) -> None:
        """Keep a signed release until the rollout lets its box take it."""
        self._save(tables.candidates, publication, box_key)

    def save_published(self, publication: Publication, box_key: str) -> None:
        """The box is offered this now, whatever it was made from before."""
        self._save(tables.publications, publication, box_key)

    def promote(self, boxes: Iterable[str]) -> None:
        """The rollout let these boxes take their candidates: they are what is offered now."""
        with self._lease.write() as connection:
            for box in boxes:
                where = tables.candidates.c.box == box
                row = connection.execute(select(tables.candidates).where(where)).one()
                columns = {name: value for name, value in row._mapping.items() if name != "box"}
                upsert(connection, tables.publications, {"box": box}, columns)
                connection.execute(delete(tables.candidates).where(where))
                published = {name: columns[name] for name in ("content", "revision")} | {"published": int(time.time())}
                upsert(connection, tables.releases, {"release": columns["release"]}, published)
            _forget_names(connection, int(time.time()) - KEPT)

    def forget_candidate(self, box: str) -> None:
        self._forget(tables.candidates, box)

    def forget_published(self, box: str) -> None:
        self._forget(tables.publications, box)

    def _save(self, table: Table, publication: Publication, box_key: str) -> None:
        with self._lease.write() as connection:
            upsert(connection, table, {"box": publication.release.box}, columns_of(publication) | {"box_key": box_key})

    def _forget(self, table: Table, box: str) -> None:
        with self._lease.write() as connection:
            connection.execute(delete(table).where(table.c.box == box))


def _forget_names(connection: Connection, before: int) -> None:
    """Drop the names of releases that were published last before then and that nobody is offered any more."""
    offered = select(tables.publications.c.release)
    old = tables.releases.c.published < before
    connection.execute(delete(tables.releases).where(old & tables.releases.c.release.not_in(offered)))
