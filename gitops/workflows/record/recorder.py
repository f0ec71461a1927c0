"""The record of deployments, kept beside the loop: a deployment waits for no more than one look at the remote's copy.

In: the revision that a pass accepted, and what became of it. Out: an entry for each revision that boxes are offered;
the remote's copy of the record; alarms. Rules:

- An entry is written before boxes are offered what it says, and once: after a pass that was killed, by the next one.
- The remote is asked and sent to by a thread of its own, which a pass waits `WAIT` seconds for; one that hangs is told,
  and its answer taken by a later pass.
- A revision that does not hold the newest one of the record is not deployed (`Replayed`), unless the settings' epoch is
  raised: this state came from a backup, or the remote serves yesterday.
- The first entry of an empty record waits until the remote has said that it has none, either.
- Nothing else that goes wrong here ends a pass.

    recorder = Recorder(settings, store, journal)
    recorder.agree(revision, source.holds)      # SourceError (Replayed)
    recorder.write(revision, fleet)
    recorder.send()
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog

from gitops.errors import Reason, SourceError, TowerosError, readable
from gitops.model import Fleet, Happened, Revision, canonical, sha256
from gitops.settings import Settings
from gitops.sign import keys
from gitops.sign.record import key
from gitops.source import Access
from gitops.source.record.chain import Reader, parent_after
from gitops.source.record.entry import MAX_SIGNERS, Entry, Recorded, following, made, public_bytes
from gitops.source.record.exchange import Exchange, Met, Ours
from gitops.source.record.memory import RecordMemory
from gitops.source.record.older import accept
from gitops.store import LeaseError, Store
from gitops.workflows.journal import Journal

log = structlog.get_logger(__name__)

WAIT = 20.0
"""Seconds that a pass waits for the remote's word on the record."""
AGAIN = 600.0
"""Seconds between two looks at a remote's record, while nothing is new."""
SILENT = f"the remote has not answered within {WAIT:.0f} s"


class Recorder:
    """The record of one controller's fleet."""

    def __init__(self, settings: Settings, store: Store, journal: Journal) -> None:
        self._settings, self._store, self._journal = settings, store, journal
        self._memory = RecordMemory(store.notes)
        self._talk = _Talk()
        self._looked = 0.0
        self._answered, self._has = False, ""
        self._alarm: SourceError | None = None
        self._parted: tuple[Recorded, ...] = ()

    @property
    def alarms(self) -> tuple[TowerosError, ...]:
        """What is wrong with the remote's record, as it was last seen."""
        return (self._alarm,) if self._alarm else ()

    def agree(self, revision: Revision, holds: Callable[[str, str], bool]) -> None:
        """Compare with the record. `holds`: whether a commit has another in its history.

        Raises:
            SourceError: the revision is older than what was deployed, or parted from it.
        """
        with self._guarded():
            entries = self._memory.entries()
            new = not entries or entries[-1].statement.commit != revision.commit
            if new or time.monotonic() - self._looked > AGAIN or not self._looked or self._talk.met:
                self._meet()
        with self._guarded():
            recorded = [entry.statement for entry in self._memory.entries()]
            accept([*recorded, *self._parted], revision, self._settings.epoch, holds)

    def write(self, revision: Revision, fleet: Fleet) -> None:
        """Write down that boxes are offered this revision, unless that is done."""
        with self._guarded():
            entries = self._memory.entries()
            last = entries[-1].statement if entries else None
            epoch = self._settings.epoch
            if last and (last.ref, last.commit, last.epoch) == (revision.ref, revision.commit, epoch):
                return
            if not entries and not self._answered:
                return
            self._memory.keep(len(entries), self._signed(entries[-1:], [self._statement(revision, fleet, epoch)]))

    def send(self) -> None:
        """Give the remote what it lacks."""
        with self._guarded():
            entries = self._memory.entries()
            behind = bool(entries) and entries[-1].id != self._has and self._settings.record_push
            wrong = self._alarm and self._alarm.reason is not Reason.record_hidden
            stopped = wrong or bool(self._memory.tip.told)  # then `agree` looks again, now and then
            if behind and not stopped:
                self._meet()

    # --- our entries ---

    def _statement(self, revision: Revision, fleet: Fleet, epoch: int) -> Recorded:
        states = {state.name: state for state in self._store.states.all() if state.name in fleet.boxes}
        newest = {
            name: state.candidate if state.candidate.release else state.published for name, state in states.items()
        }
        contents = {name: version.content for name, version in newest.items() if version.content}
        return Recorded(
            keys.guid(self._settings.keys), 0, revision.ref, revision.commit, revision.sequence, epoch,
            int(time.time()), len(contents), sha256(canonical(contents)), revision.tagged,
            revision.signers[:MAX_SIGNERS],
        )  # fmt: skip

    def _signed(self, after: Sequence[Entry], statements: Sequence[Recorded]) -> list[Entry]:
        """These statements as the entries that follow."""
        signer, chain = key.RecordKey.open(self._settings.keys), list(after[-1:])
        for statement in statements:
            before = chain[-1] if chain else None
            chain.append(made(replace(statement, **following(before)), parent_after(before), signer.sign))
        return chain[len(after[-1:]) :]

    # --- the remote's ---

    def _meet(self) -> None:
        """Ask the remote, or take the answer to the last question; wait for it as long as a pass may."""
        if not self._talk.busy and not self._talk.met:
            exchange = self._exchange()
            ours = Ours(self._memory.entries(), self._memory.tip.sent)
            self._looked = time.monotonic()
            self._talk.start(lambda: exchange.meet(ours, send=self._settings.record_push), WAIT)
        if met := self._talk.take():
            self._take(met)
        else:
            self._tell(SILENT)

    def _exchange(self) -> Exchange:
        lines = [line.partition(" ssh-")[2] for line in key.lines(self._settings.keys)]
        trusted = tuple(public_bytes(f"ssh-{line}") for line in lines)
        reader = Reader(keys.guid(self._settings.keys), trusted)
        return Exchange(Access.of(self._settings), self._store.paths.record, reader)

    def _take(self, met: Met) -> None:
        self._answered = self._answered or not met.unsent or bool(met.sent)
        self._alarm, self._parted, self._has = met.alarm, (), met.sent
        if met.alarm and met.theirs:
            self._parted = tuple(entry.statement for entry in met.theirs)
        elif met.theirs:
            self._adopt(met)
        places = Ours(self._memory.entries(), "").places
        if places.get(self._has, 0) > places.get(self._memory.tip.sent, 0):  # it never falls: what was there is missed
            self._memory.note(sent=self._has, told=self._memory.tip.told)
        self._tell(f"{met.unsent.message}; {met.unsent.hint}" if met.unsent else "")

    def _adopt(self, met: Met) -> None:
        """The remote's record is longer than ours; what we wrote meanwhile, and it never had, follows on it."""
        ours = self._memory.entries()
        again = self._signed(met.theirs, [entry.statement for entry in ours[met.shared :]])
        self._memory.keep(met.shared, [*met.theirs, *again])
        self._has = met.theirs[-1].id
        words = (
            f"the remote's record of deployments is longer than ours by {len(met.theirs)}: another controller deployed,"
            f" or this state came from a backup; the newest is {met.theirs[-1].statement.revision}"
        )
        self._journal.warning(Happened.RECORD, words)

    def _tell(self, why: str) -> None:
        """Why the remote does not have all of the record, once; and that it has, once."""
        tip = self._memory.tip
        if tip.told == why:
            return
        self._memory.note(sent=tip.sent, told=why)
        if why:
            self._journal.warning(Happened.RECORD, f"the record of deployments stays here: {why}")
        else:
            self._journal.normal(Happened.RECORD, "the remote takes the record of deployments again")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """What fails inside is told, but for what must end a pass."""
        try:
            yield
        except LeaseError:
            raise
        except Exception as caught:
            error = readable(caught)
            if error.reason is Reason.replayed:
                raise
            log.error("record.failed", error=error.message)
            self._tell_failure(error)

    def _tell_failure(self, error: TowerosError) -> None:
        try:
            self._tell(f"{error.message}; {error.hint}")
        except LeaseError:
            raise
        except Exception as caught:
            log.error("record.lost", error=readable(caught).message)


@dataclass
class _Talk:
    """One question to the remote at a time, in a thread of its own."""

    met: Met | None = None
    _thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        return bool(self._thread and self._thread.is_alive())

    def start(self, ask: Callable[[], Met], wait: float) -> None:
        def work() -> None:
            try:
                self.met = ask()
            except Exception as caught:
                self.met = Met(unsent=SourceError(readable(caught).message))

        self._thread = threading.Thread(target=work, name="record", daemon=True)
        self._thread.start()
        self._thread.join(wait)

    def take(self) -> Met | None:
        met, self.met = self.met, None
        return met
