"""The loop: what Git says becomes what the boxes are offered.

In: settings and a store. Out: a `Pass` that says what was done. Rules:

- A pass can be stopped anywhere and run again: each stage keeps what it finished under the hash of its inputs.
- When Git says nothing new, nothing is opened and nothing is started; only the rollout goes on, and metadata is
  re-signed when it is due.
- When Git lies or is away, or a commit cannot be carried out, the last good state stays: its rollout goes on, metadata
  is still re-signed, and the reason is kept where people look.
- Security updates are looked for between passes, when that is due; what they offer is a commit like any other.
- Nothing that goes wrong in a pass ends the loop; the forge hears of it afterwards, by a thread of its own; so do the
  places where else is published.

    controller = Controller(settings, store)
    done = controller.run_once()
"""

import threading
import time
from dataclasses import replace

import structlog

from gitops.builders import Builder, builder_of
from gitops.errors import SourceError, TowerosError, readable
from gitops.fleet import load_fleet
from gitops.model import Fleet, Revision
from gitops.settings import Settings
from gitops.sign import Signer
from gitops.sign.enrolled import remember
from gitops.source import GitSource
from gitops.source.memory import StoredMemory
from gitops.store import LeaseError, Store
from gitops.workflows.composing.complaints import check
from gitops.workflows.composing.program import built
from gitops.workflows.elsewhere.rounds import Elsewhere
from gitops.workflows.enrolment.host_keys import certify
from gitops.workflows.journal import Journal, Pass, Stopwatch
from gitops.workflows.making.patience import MAX_PAUSE
from gitops.workflows.media.netboot import Netboot
from gitops.workflows.offer import Offer
from gitops.workflows.record.recorder import Recorder
from gitops.workflows.reviews.rounds import Reviews
from gitops.workflows.safekeeping import ahead
from gitops.workflows.security.advisories import Advisories
from gitops.workflows.security.exposures import SecurityWatch
from gitops.workflows.security.known import Known
from gitops.workflows.sweep import Sweeper
from gitops.workflows.turns.carrying import Carrying
from gitops.workflows.turns.pins import Pins
from gitops.workflows.updates.schedule import Updates

log = structlog.get_logger(__name__)


class Controller:
    """`run_once` is one pass, `run_forever` is the loop."""

    def __init__(self, settings: Settings, store: Store, builder: Builder | None = None) -> None:
        self._settings, self._store = settings, store
        self._memory = StoredMemory(store)
        self._source = GitSource.of(settings, store.paths.source, self._memory)
        self._builder = builder or builder_of(settings, store)
        self._journal = Journal(store)
        self._recorder = Recorder(settings, store, self._journal)
        self._signer = Signer.open(settings.keys, store)
        self._netboot = Netboot.of(settings, store, self._signer, self._journal)
        self._offer = Offer(store, self._signer, self._journal, self._netboot.holds)
        self.elsewhere = Elsewhere(settings, store, self._offer.offered, self._journal)
        self._sweeper = Sweeper(store, self._builder, self._journal, settings.grace)
        self._reviews = Reviews.of(settings, store)
        known = Known(Advisories(store, settings.feeds))
        self._updates = Updates(settings, store, self._builder, known, between=self._offer.hold_at_once)
        self._security = SecurityWatch(store, settings)
        self._pins = Pins(settings, store, self._source)
        self._carrying = Carrying(settings, store, self._builder, self._signer, self._offer, self._journal)
        self._accepted: Revision | None = None
        self._fleet: tuple[str, Fleet] | None = None

    def run_forever(self, stop: threading.Event) -> None:
        """Pass after pass until `stop` is set, or LeaseError. One that fails is logged, and tried at a later poll."""
        poll = pause = float(self._settings.poll)
        while not stop.is_set():
            try:
                done = self.run_once()
                self._review()
                self.update(done.revision)
                self._look_for_vulnerabilities()
                pause = poll
            except TowerosError as error:
                if isinstance(error, LeaseError):
                    raise
                log.error("pass.failed", error=error.message, hint=error.hint)
                self._review(error)
                pause = poll if isinstance(error, SourceError) else min(pause * 2, MAX_PAUSE)
            self._carrying.patience.rest(self._store, stop, pause)

    def run_once(self) -> Pass:
        """One pass.

        Raises:
            TowerosError: a stage failed; what was finished is kept, and the last good state goes on.
        """
        try:
            done = self._pass()
            self._journal.succeeded(done, (*self._source.alarms, *self._recorder.alarms))
            return done
        except Exception as caught:
            error = readable(caught)
            self._journal.failed(error)
            self._go_on()
            raise error from caught
        finally:
            self.elsewhere.start()

    def _pass(self) -> Pass:
        watch = Stopwatch()
        remember(self._store, self._settings.keys)
        self._offer.hold_at_once()
        with watch.stage("source"):
            revision = self._follow()
        fleet = self._load(revision)
        certify(self._store, self._settings.keys, fleet, int(time.time()))
        outrun = ahead.outrun(self._store, revision, int(time.time()))
        existing = self._store.existing(attested=self._signer.builders is not None)
        todo, before = self._pins.plan(fleet, revision, replace(existing, outrun=outrun)), self._source.deployed()
        again = before is not None and before.commit == revision.commit
        layers = self._carrying.carry_out(fleet, todo, self._pins, watch, again=again)
        self._source.mark_deployed(revision)
        self._recorder.write(revision, fleet)
        with watch.stage("publish"):
            published, held = self._offer.renew(fleet, revision, todo.plan.removed)
        self._store.save_planned(revision, fleet)
        self._netboot.follow(fleet)
        self._sweeper.sweep(self._pins.keeps(fleet, todo))
        self._recorder.send()
        warnings = ahead.warnings(self._store, revision, self._settings.epoch) + self._offer.warnings()
        return Pass(revision, todo.plan, published, held, layers, watch.seconds, warnings)

    def _follow(self) -> Revision:
        """What Git says now, as far as the policy believes it."""
        self._accepted = None
        self._memory.take_over()
        accepted = self._source.poll()
        self._recorder.agree(accepted, self._source.holds)
        self._accepted = accepted
        self._journal.alarms((*self._source.alarms, *self._recorder.alarms))
        return accepted

    def _load(self, revision: Revision) -> Fleet:
        """The fleet at a revision; read again only when the commit is another one."""
        if self._fleet is None or self._fleet[0] != revision.commit:
            tree = self._source.tree(revision)
            fleet = load_fleet(tree, platform=self._settings.platform)
            deployed = self._source.deployed()
            new = deployed is None or deployed.commit != revision.commit  # what is deployed was asked about once
            if new and (program := built(self._settings.state / "compose", self._store, fleet)):
                check(program, tree, fleet)
            self._fleet = (revision.commit, fleet)
        return self._fleet[1]

    def update(self, revision: Revision) -> None:
        """Look for security updates, where that is due."""
        self._updates.run_due(self._load(revision), revision)

    def _go_on(self) -> None:
        """Let the last good state live while Git is away or the new one fails: its rollout, and fresh signatures."""
        for step in (self._go_on_with_rollout, self._offer.refresh):
            try:
                step()
            except Exception as caught:
                log.error("last_good.failed", error=readable(caught).message)

    def _go_on_with_rollout(self) -> None:
        if last := self._source.deployed():
            self._offer.renew(fleet := self._load(last), last)
            self._netboot.follow(fleet)

    def _look_for_vulnerabilities(self) -> None:
        if self._fleet is not None:
            self._security.start(self._fleet[1])

    def _review(self, error: TowerosError | None = None) -> None:
        """Begin a round on the forge; about the last good revision while Git itself is what failed."""
        if self._reviews is None or self._fleet is None:
            return
        try:
            revision = self._accepted or self._source.deployed()
            failed = error.message.splitlines()[0] if error and self._accepted else ""
            if revision:
                self._reviews.start(self._fleet[1], revision, failed)
        except Exception as caught:
            log.error("forge.failed", error=readable(caught).message)
