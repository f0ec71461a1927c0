"""The audit log of one store: no act without its line.

In: what somebody is about to do, or what happened. Out: lines of a chain (chain.py) in files of their own (files.py),
which a restore of the store leaves as they are. Rules (ADR 102):

- What changes something is written down before it is done. Where that cannot be, it is not done.
- A second line says how it ended. Where that cannot be written any more, the act stands, the first line says `begun`,
  and the log of the process says the rest.
- What cannot be kept from happening, a login that failed, is written afterwards; of strangers `AT_ONCE` and then one in
  `REFILL` seconds, the rest is counted in the next line; so of people who try what they may not, counted apart, so
  that neither hides the others.
- The database remembers the newest line: so lines that are gone from the end are missed, too.

    with AuditLog(store.paths.audit, store.notes).doing(act):
        holds.hold(store, "site-7", "ada", "the mast is open", now)
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from gitops.errors import StoreError, TowerosError
from gitops.model.access.act import Act
from gitops.store.audit.chain import BEGUN, Line
from gitops.store.audit.files import Files
from gitops.store.notes.audited import AuditHead
from gitops.store.notes.notes import Notes

log = structlog.get_logger(__name__)

AT_ONCE, REFILL = 20, 10.0
UNKNOWN = "begun; how it ended is not known"


@dataclass
class Doing:
    """An act that goes on. `outcome`: how it ended, where that is more than that it is done."""

    outcome: str = "done"


class Some:
    """Of what anybody can cause: `AT_ONCE`, then one in `REFILL` seconds."""

    def __init__(self) -> None:
        self._lock, self._left, self._then, self._skipped = threading.Lock(), float(AT_ONCE), time.monotonic(), 0

    def take(self) -> int | None:
        """How many were skipped since the last one; None: this one is, too."""
        with self._lock:
            now = time.monotonic()
            self._left, self._then = min(self._left + (now - self._then) / REFILL, AT_ONCE), now
            if self._left < 1:
                self._skipped += 1
                return None
            self._left, skipped, self._skipped = self._left - 1, self._skipped, 0
            return skipped


class AuditLog:
    """Of one store."""

    def __init__(self, folder: Path, notes: Notes | None = None) -> None:
        self.files, self._notes = Files(folder), notes
        self._strangers, self._people = Some(), Some()

    @contextlib.contextmanager
    def doing(self, act: Act) -> Iterator[Doing]:
        """The act is what happens within.

        Raises:
            StoreError: there is no line of it: it may not be done.
        """
        begun, doing = self._add(replace(act, outcome=BEGUN)), Doing()
        try:
            yield doing
        except BaseException as error:
            said = error.message if isinstance(error, TowerosError) else type(error).__name__
            self._end(begun, f"not done: {said}")
            raise
        self._end(begun, doing.outcome)

    def note(self, act: Act) -> None:
        """What has happened.

        Raises:
            StoreError: it cannot be written.
        """
        self._add(act)

    def stranger(self, act: Act) -> None:
        """What somebody tried who may not. Never an error: nobody is let in by it."""
        skipped = (self._people if act.who else self._strangers).take()
        if skipped is None:
            log.warning("audit.skipped", what=act.what, who=act.who[:100], address=act.address)
            return
        more = f"; {skipped} more of this kind before it are counted, not written" if skipped else ""
        try:
            self._add(replace(act, outcome=f"{act.outcome[:200]}{more}"))
        except StoreError as error:
            log.error("audit.not_written", error=error.message, what=act.what, who=act.who[:100])

    def newest(self) -> Iterator[tuple[Line, str]]:
        """Every act with its outcome, newest first."""
        ends: dict[int, str] = {}
        for line in self.files.newest_first():
            if line.ends:
                ends[line.ends] = line.act.outcome
            else:
                outcome = UNKNOWN if line.act.outcome == BEGUN else line.act.outcome
                yield line, ends.pop(line.number, outcome)

    def _end(self, begun: Line, outcome: str) -> None:
        try:
            self._add(replace(begun.act, time=int(time.time()), reason="", outcome=outcome), begun.number)
        except StoreError as error:
            log.error("audit.no_end", number=begun.number, what=begun.act.what, outcome=outcome, error=error.message)

    def _add(self, act: Act, ends: int = 0) -> Line:
        line = self.files.add(act, ends)
        log.info("audit", number=line.number, digest=line.digest, **line.act.__dict__)
        if self._notes:
            try:
                self._notes.change(AuditHead, lambda old: _newer(old, AuditHead(line.number, line.digest)))
            except StoreError as error:  # it is away, or damaged: what is in the files counts
                log.warning("audit.no_head", error=error.message)
        return line


def _newer(old: AuditHead, new: AuditHead) -> AuditHead:
    return old if old.number > new.number else new
