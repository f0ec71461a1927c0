"""A store of 0.1.0 goes forward, whole or not at all; and nobody touches what is too new, or still in use."""

import fcntl
import itertools
import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event

from gitops.errors import StoreError
from gitops.model import BlobRef, Health, Phase
from gitops.model.rollout.course import Course
from gitops.model.rollout.turns import BoxTurn
from gitops.store import Store, schema, tables
from gitops.store.database import Database
from gitops.store.notes.adopting import Adoptions
from gitops.store.notes.audited import AuditHead
from gitops.store.notes.box_keys import BootChecked, BoxDisk, BoxKeys, Enrolled, HostCertificate, TakenDbx
from gitops.store.notes.copied import CopiedTo
from gitops.store.notes.deltas import DeltaWork, Spared
from gitops.store.notes.directory import Roster, Traffic
from gitops.store.notes.documents import (
    NAMES,
    AssembledFiles,
    BoxInventories,
    BuiltAt,
    CheckedSignature,
    Exposures,
    FeedState,
    ForgeMemory,
    ImageOrigins,
    InventoryDocuments,
    LastDeployed,
    LayerInventories,
    PartIndex,
    PassResult,
    Patches,
    PatchRuns,
    Planned,
    ReceiptKey,
    Retries,
    Suspended,
    Suspension,
)
from gitops.store.notes.netboot import BootSets, Machines, Starts
from gitops.store.notes.newcomers import Lives, Newcomers
from gitops.store.notes.nocs import NocContact
from gitops.store.notes.notices import Notices, NotifyRules
from gitops.store.notes.people import Account, ApiToken, Session
from gitops.store.notes.record import RecordEntry, RecordTip
from gitops.store.notes.remote import RemoteSessions
from gitops.store.notes.reported import BoxFacts, WholeReport
from gitops.store.notes.restored import RightClock, VersionFloor
from gitops.store.notes.turns import Permissions
from gitops.store.notes.waves import Aside, RetriedContents, Reverts, Steered, Waves
from gitops.store.notes.wiped import Wiped
from gitops.store.notes.working import Woken, Work
from tests.kit.databases import both
from tests.kit.published import kit

LATER = {
    PassResult,
    CheckedSignature,
    LastDeployed,
    LayerInventories,
    BoxInventories,
    BoxKeys,
    InventoryDocuments,
    PartIndex,
    BuiltAt,
    FeedState,
    Exposures,
}
LATER |= {Patches, PatchRuns, ReceiptKey, Retries, ImageOrigins, BoxKeys, Enrolled, VersionFloor}
LATER |= {HostCertificate, RightClock, TakenDbx, BoxDisk, BootChecked, RecordEntry, RecordTip, Newcomers, Lives, Wiped}
LATER |= {BoxTurn, Machines, BootSets, Starts, NocContact, Waves, Steered, Reverts, RetriedContents, Aside}
LATER |= {Roster, Course, Traffic, BoxFacts, WholeReport, NotifyRules, Notices, Woken, Work}
LATER |= {Account, Session, ApiToken}
LATER |= {AuditHead, Adoptions, Permissions}
LATER |= {Roster, Course, Traffic, BoxFacts, WholeReport, NotifyRules, Notices, Woken, Work, RemoteSessions}
LATER |= {CopiedTo, Roster, Course, Traffic, BoxFacts, WholeReport, NotifyRules, Notices, Woken, Work}
LATER |= {DeltaWork, Spared, Roster, Course, Traffic, BoxFacts, WholeReport, NotifyRules, Notices, Woken, Work}
"""What 0.1.0 did not keep, or not in its last state."""
GOLDEN = Path(__file__).parents[1] / "golden" / "store" / "0.1.0.sql"
"""Made by 0.1.0 (`make.py` beside it)."""


@pytest.fixture
def old(tmp_path: Path, database: str) -> str:
    """A store's database as 0.1.0 left it. (It knew SQLite only; the statements are the same.)"""
    text = GOLDEN.read_text()
    if database:
        with psycopg.connect(database, autocommit=True) as server:
            server.execute(text.replace("id INTEGER NOT NULL", "id SERIAL NOT NULL"))  # type: ignore[call-overload]
    else:
        with closing(sqlite3.connect(tmp_path / "toweros.db")) as file:
            file.executescript(text)
    return database


def contents(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table that there is."""
    with database.read() as connection:
        names = schema.inspect(connection).get_table_names()
        rows = {name: connection.exec_driver_sql(f"SELECT * FROM {name}").all() for name in names}
    return {name: sorted(map(tuple, each), key=str) for name, each in rows.items()}


@both
def test_a_store_of_0_1_0_is_brought_forward(tmp_path: Path, old: str) -> None:
    store = Store.open(tmp_path, old, migrate=True)
    one, (waiting,) = store.offers.published("demo-1"), store.offers.candidates(["demo-2"])
    assert one and waiting and waiting.release.sequence == 8
    keys = [("demo-1", "key-of-demo-1"), ("demo-2", "key-of-demo-2"), ("demo-3", "key-of-demo-3")]
    assert [(made.box, made.key) for made in store.offers.made()] == [*keys, ("demo-2", "next-key-of-demo-2")]
    states = {state.name: state for state in store.states.all()}
    assert set(states) == {"demo-1", "demo-2", "demo-3"} and states["demo-1"].running.revision == str(one.revision)
    assert states["demo-1"].running.content == one.release.content.digest
    with store._database.read() as connection:
        releases = {row.release: row.revision for row in connection.execute(tables.releases.select())}
    assert releases["f" * 64] == f"main@sha1:{6:040x}", "no longer offered to anyone"
    report = store.boxes.report("demo-2")
    assert report and (report.health, report.phase, report.counter) == (Health.DEGRADED, Phase.FETCHING, 2)
    assert store.boxes.row("demo-3").revoked  # type: ignore[union-attr]
    assert not store.boxes.save_report(report), "what was seen stays seen"
    assert [event.reason for event in store.events.latest()] == ["Forge", "Published"]
    assert store.builds.image("1" * 64)


@both
def test_the_documents_of_0_1_0_are_read_and_what_nobody_reads_is_gone(tmp_path: Path, old: str) -> None:
    store = Store.open(tmp_path, old, migrate=True)
    read = {}
    for name, _ in contents(store._database)["values_"]:
        kind, prefix = next(each for each in NAMES.items() if str(name).startswith(each[1]))
        read[kind] = store.notes.get(kind, str(name).removeprefix(prefix))
    assert read.keys() == NAMES.keys() - LATER, "neither `revisions` nor `held`"
    assert read[Suspended].rows == {"demo-2": Suspension("ada", "disk", 1_790_000_000)}
    assert read[AssembledFiles].rows == {"kernel": BlobRef("e" * 64, 9_000_000)}
    assert read[Planned].packages == {"pkg/hello": "1" * 64} and read[ForgeMemory].pulls[3].turn == 1


@both
def test_the_columns_are_those_that_a_save_would_fill(tmp_path: Path, old: str) -> None:
    store = Store.open(tmp_path, old, migrate=True)
    migrated = contents(store._database)
    for box in ("demo-1", "demo-2", "demo-3"):
        store.offers.save_published(store.offers.published(box), f"key-of-{box}")  # type: ignore[arg-type]
    store.offers.save_candidate(*store.offers.candidates(["demo-2"]), "next-key-of-demo-2")
    saved = contents(store._database)
    assert {name: saved[name] for name in ("publications", "candidates")} == {
        name: migrated[name] for name in ("publications", "candidates")
    }


@both
def test_what_a_box_went_back_from_is_not_tried_again(tmp_path: Path, old: str) -> None:
    """0.1.0 looked into the release's document for that; it is in the folder, under the digest that the box named."""
    here = kit(tmp_path / "kit")
    publication = here.publication("demo-2", 8)
    (tmp_path / "blobs").mkdir()
    (here.store.paths.root / "blobs" / "sha256").rename(tmp_path / "blobs" / "sha256")
    document = tmp_path / "blobs" / "sha256" / publication.document.sha256
    (tmp_path / "blobs" / "sha256" / ("9" * 64)).write_bytes(document.read_bytes())
    database = Database.open(old or f"sqlite:///{tmp_path}/toweros.db")
    schema.settle(database, lambda release: publication.release.content.digest if release == "9" * 64 else "")
    with database.read() as connection:
        failed = {row.box: row.failed for row in connection.execute(tables.reports.select())}
    assert failed == {"demo-1": "", "demo-2": publication.release.content.digest}


@both
def test_the_migrated_tables_are_the_new_ones(tmp_path: Path, old: str) -> None:
    database = Store.open(tmp_path, old, migrate=True)._database
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_every_version_is_named() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert tuple(reversed([script.revision for script in scripts.walk_revisions()])) == schema.VERSIONS


@both
def test_a_second_migration_changes_nothing(tmp_path: Path, old: str) -> None:
    first = contents(Store.open(tmp_path, old, migrate=True)._database)
    assert contents(Store.open(tmp_path, old, migrate=True)._database) == first


@both
def test_a_verb_that_only_reads_says_so_and_leaves_it(tmp_path: Path, old: str) -> None:
    database = Database.open(old or f"sqlite:///{tmp_path}/toweros.db")
    before = contents(database)
    with pytest.raises(StoreError, match="made by an older TowerOS") as caught:
        Store.open(tmp_path, old)
    assert "toweros run" in caught.value.hint and contents(database) == before


@both
def test_a_newer_store_is_left_alone(tmp_path: Path, database: str) -> None:
    store = Store.open(tmp_path, database)
    with store._database.write() as connection:
        connection.execute(schema.versions.update().values(version_num="0999"))
    before = contents(store._database)
    for migrate in (False, True):
        with pytest.raises(StoreError, match="made by a newer TowerOS"):
            Store.open(tmp_path, database, migrate=migrate)
    assert contents(store._database) == before


def test_nobody_migrates_under_a_controller_of_0_1_0(tmp_path: Path, database: str, old: str) -> None:
    with (tmp_path / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="a TowerOS of 0"):
            Store.open(tmp_path, migrate=True)
    Store.open(tmp_path, migrate=True)


@both
def test_killed_at_any_statement_it_is_as_before_or_done(tmp_path: Path, old: str) -> None:
    url = old or f"sqlite:///{tmp_path}/toweros.db"
    before = contents(Database.open(url))
    for statement in itertools.count(1, 4 if old else 1):
        code = _migrate_and_die(url, statement)
        if code == 0:
            break
        assert code == -signal.SIGKILL and contents(Database.open(url)) == before, f"killed at statement {statement}"
    assert statement > 20
    assert schema.version(Database.open(url)) == schema.NEWEST


def _migrate_and_die(url: str, statement: int) -> int | None:
    child = multiprocessing.get_context("fork").Process(target=_migrate, args=(url, statement))
    child.start()
    child.join(60)
    return child.exitcode


def _migrate(url: str, statement: int) -> None:
    """Die without a word before the statement of this number."""
    numbers: Iterator[int] = itertools.count(1)
    database = Database.open(url)

    def count(*_: object) -> None:
        if next(numbers) == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(database.engine, "before_cursor_execute", count)
    schema.settle(database, lambda _release: "")
