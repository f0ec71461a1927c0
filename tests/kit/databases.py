"""Both databases, real: SQLite in a file, and Debian's PostgreSQL.

The server is started once per test process on a free port of the loopback interface, in a folder of its own, and is
ended by its process id. A test that asks for `database` gets SQLite (`""`); one that is marked `both` runs on each,
with a new database every time.

    @both
    def a_story(tmp_path: Path, database: str) -> None:
        store = Store.open(tmp_path, database)
"""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

both = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
PASSWORD = "correct-horse-battery"
USER = "postgres"
"""It is Debian's user, too: the server refuses to run as root."""
OPTIONS = ("fsync=off", "full_page_writes=off", "listen_addresses=127.0.0.1", "max_connections=200")


class Postgres:
    """A server of our own, whose data are below `place`."""

    def __init__(self, place: Path | None = None, options: tuple[str, ...] = OPTIONS) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        assert found, "apt-get install postgresql"
        self._bin, self.folder = found[-1], Path(tempfile.mkdtemp(prefix="toweros-postgres-", dir=place))
        self._options = options
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            shutil.chown(self.folder, USER, USER)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        words = ["--no-sync", "--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C"]
        subprocess.run(self._as_user("initdb", *words, "-D", self.folder / "data"), check=True, capture_output=True)

    def _as_user(self, program: str, *words: str | Path) -> list[str | Path]:
        other = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.geteuid() == 0 else []
        return [*other, self._bin / program, *words]

    def start(self) -> None:
        options = [word for option in self._options for word in ("-c", option)]
        place = ["-D", self.folder / "data", "-p", str(self.port), "-k", self.folder]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._as_user("postgres", *place, *options), stdout=log, stderr=log)
        for _ in range(300):
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.1)
        pytest.fail((self.folder / "log").read_text())

    def stop(self) -> None:
        """Every connection is cut."""
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)
            self._process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def create(self) -> str:
        """A new, empty database."""
        name = f"test{next(self._numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
        return self.url(name)

    def drop(self, url: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")  # type: ignore[call-overload]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a new database, as `Store.open` takes it."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield ""
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.create()
    yield url
    server.drop(url)
