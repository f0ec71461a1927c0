"""Which database it is, that its password stays a secret, and what happens when it is damaged or away."""

import json
import multiprocessing
import signal
import sqlite3
import subprocess
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from gitops.errors import SettingsError, StoreError, TowerosError
from gitops.settings import Settings, load
from gitops.store import Store
from gitops.store.database import Database, database_url
from gitops.store.notes.documents import Planned
from tests.kit.databases import PASSWORD, Postgres, both

TOWEROS = Path(sys.executable).parent / "toweros"


def test_a_garbage_database_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "toweros.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError, match=r"toweros\.db: file is not a database"):
        Store.open(tmp_path)


def test_the_url_comes_from_the_settings_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, secret = tmp_path / "toweros.toml", tmp_path / "secret"
    config.write_text("")
    assert database_url(load(config)) == "", "SQLite"
    config.write_text('database_file = "secret"\n')
    secret.write_text("postgresql://a:b@db/one\n")
    assert database_url(load(config)) == "postgresql://a:b@db/one"
    secret.write_text("hunter2")
    with pytest.raises(SettingsError, match="holds no postgresql") as caught:
        database_url(load(config))
    assert "hunter2" not in str(caught.value)
    secret.unlink()
    with pytest.raises(SettingsError, match="cannot be read"):
        database_url(load(config))
    config.write_text("")
    monkeypatch.setenv("TOWEROS_DATABASE", "postgresql://a:b@db/two")
    assert database_url(load(config)) == "postgresql://a:b@db/two"
    monkeypatch.setenv("TOWEROS_DATABASE_FILE", str(secret))
    secret.write_text("postgresql://a:b@db/one\n")
    with pytest.raises(SettingsError, match="`database` is set too"):
        database_url(load(config))


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://a:{PASSWORD}@db/x",
        f"postgresql:/a:{PASSWORD}@db/x",
        f"postgresql://a@db:{PASSWORD}/x",
        f"postgresql://a:{PASSWORD}@127.0.0.1:1/x",
        f"postgresql://a:{PASSWORD}@127.0.0.1:1/x?nothing=1",
    ],
)
def test_no_error_holds_the_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(TowerosError) as caught:
        (tmp_path / "toweros.toml").write_text(f"database = {json.dumps(url)}\n")
        Store.of(load(tmp_path / "toweros.toml", state=tmp_path))
    assert PASSWORD not in caught.value.message + caught.value.hint
    assert PASSWORD not in "".join(traceback.format_exception(caught.value)), "nor does a traceback"
    assert PASSWORD not in repr(Settings.model_construct(database=url))


def test_no_verb_shows_the_password(tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.create()
    config = tmp_path / "toweros.toml"
    config.write_text(f'state = "state"\ndatabase = "{url}"\n')
    for words in (["-v", "status", "-o", "json"], ["events"]):
        done = subprocess.run([TOWEROS, *words, "-c", config], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
    config.write_text(f'state = "state"\ndatabase = "{url.replace(PASSWORD, "tiger-" + PASSWORD)}"\n')
    done = subprocess.run([TOWEROS, "status", "-c", config], capture_output=True, text=True)
    assert done.returncode == 1 and "password authentication failed" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr and "docs/controller.md" in done.stderr
    assert not (tmp_path / "state" / "toweros.db").exists()


def test_a_postgresql_that_was_made_without_a_locale_takes_every_letter(tmp_path: Path, postgres: Postgres) -> None:
    """`initdb` under LC_ALL=C makes SQL_ASCII, of which psycopg reads bytes; so does Debian where no locale is set."""
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE plain ENCODING SQL_ASCII TEMPLATE template0")
    plain = postgres.url("plain")
    store = Store.open(tmp_path, plain, migrate=True)
    store.notes.put(Planned("5c1e", ("mästchen-7 €",)))
    assert Store.open(tmp_path, plain).notes.get(Planned) == Planned("5c1e", ("mästchen-7 €",))
    postgres.drop(plain)


def test_a_server_that_was_away_is_used_again(tmp_path: Path) -> None:
    server = Postgres()
    server.start()
    try:
        store = Store.open(tmp_path, server.create())
        store.events.add("", "Normal", "One", "")
        server.stop()
        with pytest.raises(StoreError, match="the database 127"):
            store.events.add("", "Normal", "Lost", "")
        server.start()
        store.events.add("", "Normal", "Two", "")
        server.stop()
        server.start()
        store.events.add("", "Normal", "Three", "")
        assert [event.reason for event in store.events.latest()] == ["Three", "Two", "One"], "nobody noticed"
        store.close()
    finally:
        server.close()


@both
def test_two_processes_may_open_a_new_store_at_once(tmp_path: Path, database: str) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        jobs = [pool.apply_async(_open_and_write, (tmp_path, database, number)) for number in range(8)]
        for job in jobs:
            job.get(60)
    assert len(Store.open(tmp_path, database).events.latest()) == 8


def test_a_new_database_that_is_busy_is_waited_for(tmp_path: Path) -> None:
    """SQLite waits for a writer's turn, and not for the turn to become a database with readers beside one writer."""
    file = tmp_path / "toweros.db"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE other (row)")
    other.execute("BEGIN IMMEDIATE")
    done = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    done.start()
    with Database.open(f"sqlite:///{file}").read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    done.join()
    other.close()


def _open_and_write(folder: Path, database: str, number: int) -> None:
    store = Store.open(folder, database)
    store.events.add("", "Normal", str(number), "")
    store.close()


@both
def test_writers_wait_for_each_other(tmp_path: Path, database: str) -> None:
    """Each reads before it writes, in one transaction: SQLite refuses such a writer at once if it did not say so."""
    stores = [Store.open(tmp_path, database) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: stores[n % 4].events.add("", "Normal", str(n), ""), range(200)))
    assert len(stores[0].events.latest(limit=1000)) == 200


def test_a_process_that_hangs_in_a_transaction_does_not_hold_the_others_up(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitops.store.database.IDLE", 1)
    url = postgres.create()
    hangs, other = Store.open(tmp_path, url), Store.open(tmp_path, url)
    with pytest.raises(StoreError), hangs.lease.write() as connection:
        connection.execute(text("LOCK TABLE values_ IN EXCLUSIVE MODE"))
        other.notes.put(Planned("c"))
        connection.execute(text("SELECT 1"))
    assert other.notes.get(Planned) == Planned("c")


class Ended(BaseException):
    """What a signal's handler raises."""


SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000000) SELECT count(*) FROM n"


def test_a_signal_in_the_middle_of_a_statement_is_no_fault_of_the_database(tmp_path: Path) -> None:
    """Else `toweros run` takes it for a database that is away, and goes on for ever."""

    def end(*_: object) -> None:
        raise Ended

    database, before = Database.open(f"sqlite:///{tmp_path}/one.db"), signal.signal(signal.SIGVTALRM, end)
    try:
        with pytest.raises(Ended), database.read() as connection:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.05)
            connection.exec_driver_sql(SLOW)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    with database.write() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
