"""Who may change what boxes are offered: one controller at a time, whatever dies, sleeps or is cut off (ADR 18).

In: the store's database and folder. Out: a context in which we are the one. Rules:

- The holder renews its row. Who waits takes over when the row stayed as it is for `STALE` seconds of its own monotonic
  clock: clocks of two machines are never compared, and none of them may jump. A holder whose process is gone from this
  host is not waited for.
- Each holder has a token, higher than all before. Every transaction that changes an offer or a document compares it
  with the row, which cannot change until that transaction ends.
- Every metadata file is renamed out of a folder of the token's own. Who takes over removes that of the holder before
  it, and then reads what is published: a rename that comes too late has nothing to rename.

    with store.lease.held():
        Controller(settings, store).run_once()
"""

import contextlib
import json
import os
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
from sqlalchemy import Row, select, update
from sqlalchemy.engine import Connection

from gitops.errors import StoreError, readable
from gitops.model import canonical
from gitops.store.database import HINT, Database, inserter
from gitops.store.files.layout import Layout
from gitops.store.tables import leases

log = structlog.get_logger(__name__)

NAME = "controller"
RENEW = 3.0
"""Seconds between two renewals."""
STALE = 30.0
"""Seconds without one after which another takes over."""
LOOK = 1.0
"""Seconds between two looks at a lease that is another's."""
GONE = ("Z", "X")
"""States of a process that has ended (proc(5))."""


class LeaseError(StoreError):
    """Another controller has taken over: nothing may be published any more by this one."""


@dataclass(frozen=True)
class Holder:
    """A process: its host's name, boot and process namespace; its number, and the clock tick at which it started."""

    host: str
    boot: str
    space: str
    pid: int
    started: str

    @classmethod
    def here(cls) -> "Holder":
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = str(Path("/proc/self/ns/pid").readlink())
        return cls(socket.gethostname(), boot, space, os.getpid(), _started(os.getpid()))

    def gone(self) -> bool:
        """Whether it is certain that it has ended: it was on this host, and is not there."""
        here = Holder.here()
        ours = (self.boot, self.space) == (here.boot, here.space)
        return ours and self.started != _started(self.pid)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Lease:
    """The right to be the controller of one store. Without `held`, nothing is checked: not every verb is one."""

    def __init__(self, database: Database, paths: Layout) -> None:
        self._database, self._paths = database, paths
        self._token = 0

    @contextlib.contextmanager
    def held(self, stop: threading.Event | None = None) -> Iterator[None]:
        """Be the controller while the context lasts.

        With `stop`, another one's end is waited for until that is set; without, only for as long as it takes to see
        that it lives (some seconds) or does not (`STALE`).

        Raises:
            StoreError: another controller lives; the database goes with another folder, or is away.
            LeaseError: `stop` was set before.
        """
        with _told():
            self._token = token = self._acquire(stop)
        ended = threading.Event()
        renewer = threading.Thread(target=self._renew, args=(token, ended), name="lease", daemon=True)
        renewer.start()
        try:
            with _told():
                self._enter(token)
            yield
        finally:
            ended.set()
            renewer.join()
            self._release(token)

    def check(self) -> None:
        """Raises LeaseError if we were the controller and are no more."""
        with self._database.read() as connection:
            self._compare(connection)

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that nobody else's can overtake: it ends before another becomes the controller, or fails."""
        with self._database.write() as connection:
            self._compare(connection)
            yield connection

    @contextlib.contextmanager
    def publishing(self) -> Iterator[Path | None]:
        """Where new metadata files lie until they are renamed; None: beside the old ones.

        Raises:
            LeaseError: another one is the controller by now.
        """
        self.check()
        folder = self._paths.staging(self._token) if self._token else None
        try:
            yield folder
        except (StoreError, FileNotFoundError) as error:
            if folder and not folder.exists():
                raise _lost() from error
            raise

    # --- becoming the one ----------------------------------------------------------------------------------------

    def _acquire(self, stop: threading.Event | None) -> int:
        seen: tuple[int, int] | None = None
        since = time.monotonic()
        while not (stop and stop.is_set()):
            row = self._row()
            state = (row.token, row.renewed) if row else None
            stale = state == seen and time.monotonic() - since > STALE
            if (row is None or not row.holder or stale or _gone(row)) and (token := self._take(row)):
                return token
            if state != seen:
                self._say(row, renewed=seen is not None, wait=stop is not None)
                seen, since = state, time.monotonic()
            stop.wait(LOOK) if stop else time.sleep(LOOK)
        raise LeaseError("stopped while another controller was at work")

    def _say(self, row: "Row[tuple[object, ...]] | None", *, renewed: bool, wait: bool) -> None:
        holder = _holder(row.holder) if row and row.holder else None
        if renewed and not wait:
            raise StoreError(f"{self._paths.root} is in use by another controller: {holder}", hint="stop it first")
        if not renewed:
            log.info("lease.waiting", holder=str(holder))

    def _row(self) -> "Row[tuple[object, ...]] | None":
        with self._database.read() as connection:
            return connection.execute(select(leases).where(leases.c.name == NAME)).first()

    def _take(self, row: "Row[tuple[object, ...]] | None") -> int:
        """Take it, if it still is as in `row`. Returns our token, or 0."""
        folder = self._folder(row.folder if row else "")
        mine = {"holder": canonical(asdict(Holder.here())).decode(), "since": int(time.time()), "renewed": 0}
        with self._database.write() as connection:
            if row is None:
                first = {"name": NAME, "token": 1, "folder": folder, **mine}
                new = inserter(connection.dialect.name, leases).values(**first)
                statement = new.on_conflict_do_nothing().returning(leases.c.token)
                return int(connection.scalar(statement) or 0)
            same = (leases.c.name == NAME, leases.c.token == row.token, leases.c.renewed == row.renewed)
            done = connection.execute(update(leases).where(*same).values(token=row.token + 1, **mine))
            return int(row.token) + 1 if done.rowcount else 0

    def _folder(self, known: str) -> str:
        """The name of the state folder. One database goes with one folder, else boxes would be offered old metadata.

        Raises:
            StoreError: this is another one.
        """
        file = self._paths.identity
        if not file.exists():
            if known:
                hint = f"set `state` to that one; if it is lost, write {known} into {file}"
                raise StoreError(f"the database goes with another folder than {self._paths.root}", hint=hint)
            file.write_text(f"{secrets.token_hex(16)}\n")
        name = file.read_text().strip()
        if known and name != known:
            raise StoreError(f"the database goes with another folder than {self._paths.root}", hint=HINT)
        return name

    def _enter(self, token: int) -> None:
        """Make our folder, and remove those of the holders before us; only then nothing of theirs appears any more."""
        ours = self._paths.staging(token)
        ours.mkdir(parents=True, exist_ok=True)
        for other in ours.parent.glob("lease-*"):
            if int(other.name.partition("-")[2]) < token:
                shutil.rmtree(other, ignore_errors=True)
        # Who took over since has swept before our folder was there, or sees it: this is what tells.
        self.check()
        self._paths.sweep()
        log.info("lease.held", token=token)

    def _renew(self, token: int, ended: threading.Event) -> None:
        while not ended.wait(RENEW):
            try:
                if not self._change(token, renewed=leases.c.renewed + 1):
                    log.error("lease.lost", token=token)
                    return
            except StoreError as error:
                log.warning("lease.not_renewed", error=error.message)

    def _release(self, token: int) -> None:
        shutil.rmtree(self._paths.staging(token), ignore_errors=True)
        try:
            self._change(token, holder="")
        except StoreError as error:
            log.warning("lease.not_released", error=error.message)

    def _change(self, token: int, **values: object) -> bool:
        with self._database.write(durable=False) as connection:
            where = (leases.c.name == NAME, leases.c.token == token)
            return connection.execute(update(leases).where(*where).values(**values)).rowcount == 1

    def _compare(self, connection: Connection) -> None:
        if not self._token:
            return
        query = select(leases.c.token).where(leases.c.name == NAME).with_for_update(read=True)
        if connection.scalar(query) != self._token:
            raise _lost()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What the disk says, in words that whoever waits for it understands."""
    try:
        yield
    except OSError as error:
        raise readable(error) from error


def _lost() -> LeaseError:
    return LeaseError("another controller has taken over", hint="see docs/controller.md, Two controllers")


def _holder(text: str) -> Holder:
    return Holder(**json.loads(text))


def _gone(row: "Row[tuple[object, ...]]") -> bool:
    return _holder(row.holder).gone()


def _started(pid: int) -> str:
    """When a process started; empty when it has ended."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return ""
    return "" if state in GONE else fields[18]
