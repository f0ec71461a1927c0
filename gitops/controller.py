"""One pass: what Git says becomes what the boxes are offered. The only place that wires two stages.

In: settings and a store. Out: a `Pass` that says what was done. Rules:

- A pass can be stopped anywhere and run again: each stage keeps what it finished under the hash of its inputs.
- When Git says nothing new, nothing is opened and nothing is started; only the rollout goes on, and metadata is
  re-signed when it is due.
- When Git lies or is away, or a commit cannot be carried out, the last good state stays: its rollout goes on, metadata
  is still re-signed, and the reason is kept where people look.
- Nothing that goes wrong in a pass ends the loop; the forge is told after it, by a thread of its own.

    controller = Controller(settings, store)
    done = controller.run_once()
"""

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

import structlog

from gitops import plan as planning
from gitops.assemble.release import Assembled, Assembler
from gitops.builders import Builder, builder_of
from gitops.errors import SourceError, StoreError, TowerosError
from gitops.fleet import load_fleet
from gitops.model import Box, BoxState, Fleet, Hold, HoldReason, Image, Json, Plan, Publication, Revision
from gitops.publish import Publisher
from gitops.rollout import holds
from gitops.rollout import rules as rollout
from gitops.settings import Settings
from gitops.sign import Signer
from gitops.source import GitSource
from gitops.store import Store
from gitops.store.collect import collect
from gitops.workflows.import_images import Images
from gitops.workflows.pull_requests import Reviews

log = structlog.get_logger(__name__)

STATUS = "controller"
"""The store's document on the last passes: `revision`, `polled`, `error`, `hint`, `since`."""
SUPERSEDED = "Git asks for another release by now, which waits for its turn"
COLLECT_EVERY = 3600.0
"""Seconds between two sweeps of the store."""
MAX_PAUSE = 600.0
"""Seconds: a commit that cannot be carried out is tried again ever more slowly, up to this."""


@dataclass(frozen=True)
class Pass:
    """What one pass did. `seconds` says how long each stage took; `decisions` why a box may or may not go on."""

    revision: Revision
    plan: Plan
    made: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    held: Mapping[str, Hold] = field(default_factory=dict)
    layers: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> Json:
        return {
            "revision": str(self.revision),
            "builds": [asdict(step) for step in self.plan.builds],
            "boxes": [asdict(step) for step in self.plan.boxes],
            "layers": self.layers,
            "published": list(self.published),
            "held": {box: str(hold) for box, hold in self.held.items()},
            "seconds": {stage: round(seconds, 2) for stage, seconds in self.seconds.items()},
        }


class Stopwatch:
    """Seconds per stage of one pass."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            took = time.monotonic() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + took
            log.debug(f"{name}.done", seconds=round(took, 2))


class Controller:
    """Holds the stages; `run_once` is one pass, `run_forever` is the loop."""

    def __init__(self, settings: Settings, store: Store, builder: Builder | None = None) -> None:
        self._settings, self._store = settings, store
        self._source = GitSource.of(settings)
        self._builder = builder or builder_of(settings, store)
        self._signer = Signer.open(settings.keys, store)
        self._publisher = Publisher(store, self._signer)
        self._fleet: tuple[str, Fleet] | None = None
        self._reviews = Reviews.of(settings, store)
        self._seen: Revision | None = None
        self._swept = 0.0

    def run_forever(self, stop: threading.Event) -> None:
        """Pass after pass until `stop` is set. A pass that fails is told, and tried again at a later poll."""
        pause = float(self._settings.poll)
        while not stop.is_set():
            try:
                self.run_once()
                self._tell_forge()
                pause = float(self._settings.poll)
            except TowerosError as error:
                log.error("pass.failed", error=error.message, hint=error.hint)
                self._tell_forge(error)
                waiting = isinstance(error, SourceError)
                pause = float(self._settings.poll) if waiting else min(pause * 2, MAX_PAUSE)
            stop.wait(pause)

    def run_once(self) -> Pass:
        """One pass.

        Raises:
            TowerosError: a stage failed; what was finished is kept, and the last good state goes on.
        """
        try:
            done = self._pass()
            self._remember_success(done)
            return done
        except Exception as caught:
            error = _told(caught)
            self._remember_error(error)
            self._go_on()
            raise error from caught

    def _pass(self) -> Pass:
        watch = Stopwatch()
        self._hold_at_once()
        with watch.stage("source"):
            self._seen = None
            revision = self._seen = self._source.poll()
            self._warn()
        fleet = self._load(revision)
        plan = planning.plan(fleet, revision, self._store.existing())
        before = self._store.layers.names() if not plan.empty else frozenset()
        self._build(fleet, plan, watch)
        for data in self._source.evidence(revision):
            self._store.blobs.put(data)
        made = self._assemble(fleet, plan, watch) if plan.boxes else ()
        layers = self._store.layers.names() - before if not plan.empty else frozenset()
        self._source.mark_deployed(revision)
        with watch.stage("publish"):
            published, held = self._publish(fleet, plan)
        self._store.save_planned(revision, fleet)
        self._sweep(fleet)
        return Pass(revision, plan, made, published, held, len(layers), watch.seconds)

    def _hold_at_once(self) -> None:
        """What an operator holds waits neither for Git nor for a long build."""
        said = holds.operators(self._store)
        if said:
            self._publisher.hold(lambda box: said.get(box) or said.get(holds.ALL, ""))

    def _go_on(self) -> None:
        """Let the last good state live while Git is away or the new one fails: its rollout, and fresh signatures."""
        for step in (self._go_on_with_rollout, self._publisher.refresh):
            try:
                step()
            except Exception as caught:
                log.error("last_good.failed", error=_told(caught).message)

    def _go_on_with_rollout(self) -> None:
        last = self._source.deployed()
        if last:
            self._publish(self._load(last), Plan(last))

    # --- the stages, in order ---------------------------------------------------------------------------------------

    def _load(self, revision: Revision) -> Fleet:
        """The fleet at a revision; read again only when the commit is another one."""
        if self._fleet is None or self._fleet[0] != revision.commit:
            tree = self._source.tree(revision)
            self._fleet = (revision.commit, load_fleet(tree, platform=self._settings.platform))
        return self._fleet[1]

    def _build(self, fleet: Fleet, plan: Plan, watch: Stopwatch) -> None:
        for step in plan.builds:
            package = fleet.packages[step.subject]
            self._hold_at_once()
            self._tell("Building", f"{package.path}: {step.reason}")
            start = time.monotonic()
            with watch.stage("build"):
                self._builder.build(package, self._source.tree(plan.revision), fleet.packages)
            self._tell("Built", f"{package.path} in {time.monotonic() - start:.1f} s")

    def _assemble(self, fleet: Fleet, plan: Plan, watch: Stopwatch) -> tuple[str, ...]:
        """Make, sign and keep a candidate for every box that the plan names. Returns those whose content changed."""
        images = self._images(fleet)
        with watch.stage("pull"):
            pulled = Images(self._settings, self._store).of(
                fleet.boxes.values(), images, self._source.tree(plan.revision)
            )
        assembler = Assembler.of(self._store, images, fleet.policy.recipe, pulled)
        changed = []
        for step in plan.boxes:
            box = fleet.boxes[step.subject]
            with watch.stage("assemble"):
                made = assembler.assemble(box, plan.revision, self._settings.server)
            with watch.stage("sign"):
                if self._keep(box, made, plan):
                    changed.append(box.name)
        return tuple(changed)

    def _images(self, fleet: Fleet) -> dict[str, Image]:
        found = {f"@pkg:{path}": self._store.builds.image(package.key) for path, package in fleet.packages.items()}
        return {name: image for name, image in found.items() if image}

    def _keep(self, box: Box, made: Assembled, plan: Plan) -> bool:
        """Sign what was assembled. False: the box already has this content; only its inputs have another key."""
        key, old = plan.box_keys[box.name], self._store.offers.published(box.name)
        if old and old.release.content.digest == made.release.content.digest and self._store.whole(old):
            self._store.offers.save_published(old, key)
            self._store.offers.forget_candidate(box.name)
            return False
        document = self._store.blobs.put(made.release.encode())
        uki, addon = (self._store.blobs.put(self._signer.sign_boot(data)) for data in (made.uki, made.addon))
        self._store.offers.save_candidate(Publication(made.release, plan.revision, document, uki, addon), key)
        self._tell("Assembled", f"release {made.release.sequence} of {len(made.release.layers())} layers", box.name)
        return True

    def _publish(self, fleet: Fleet, plan: Plan) -> tuple[tuple[str, ...], dict[str, Hold]]:
        """Offer what the rollout allows now. Returns the boxes offered something new, and why the others wait."""
        removed = [step.subject for step in plan.removed]
        for box in removed:
            self._store.offers.forget_candidate(box)
        waiting = self._store.offers.waiting(plan.revision.sequence)
        states = {state.name: state for state in self._store.states.all()} if waiting else {}
        decisions = self._decide(fleet, states, waiting)
        going = self._store.offers.candidates(waiting - _held(decisions).keys())
        refused = self._publisher.refused(going)
        decisions |= {box: Hold(HoldReason.CANNOT_BE_OFFERED, why) for box, why in refused.items()}
        going = [publication for publication in going if publication.release.box not in refused]
        by_people = holds.reasons(fleet, self._store)
        # A box that cannot read the newer release may take the older one: it is its way there.
        waits = (box for box in waiting if box in _held(decisions) and box not in refused)
        # Who runs what it is offered has nothing to leave; the others must not move to what Git has left behind.
        outdated = {box: SUPERSEDED for box in waits if not states[box].taken}
        self._publisher.publish(going, removed=removed, holds=outdated | by_people)
        self._store.offers.promote(publication.release.box for publication in going)
        for publication in going:
            box = publication.release.box
            self._tell("Published", f"{publication.revision}: {decisions[box]}", box)
        for box in removed:
            self._store.offers.forget_published(box)
            self._tell("Removed", "Git no longer has it", box)
        held = {box: Hold(HoldReason.SUSPENDED, reason) for box, reason in by_people.items()} | _held(decisions)
        previous = self._store.holds.all()
        if held != previous:
            self._store.holds.save(held)
        for box in refused:
            if previous.get(box) != held[box]:
                self._store.events.add(box, "Warning", "Refused", str(held[box]))
        return tuple(publication.release.box for publication in going), held

    def _decide(
        self, fleet: Fleet, states: Mapping[str, BoxState], waiting: Collection[str]
    ) -> dict[str, rollout.Decision]:
        """Of every box: the canary of a waiting box may be one that waits for nothing."""
        newest = {box: state.candidate if box in waiting else state.published for box, state in states.items()}
        wanted = {box: each.content for box, each in newest.items() if each.release and box in fleet.boxes}
        now = time.time()
        facts = {box: rollout.Facts.of(states[box], now) for box in wanted}
        roles = {box: fleet.boxes[box].role for box in wanted}
        decisions = rollout.decide(wanted, facts, roles, fleet.policy, holds.reasons(fleet, self._store))
        gone = {box: Hold(HoldReason.REMOVED) for box in waiting if box not in wanted}
        return decisions | gone

    def _sweep(self, fleet: Fleet) -> None:
        if time.monotonic() - self._swept < COLLECT_EVERY and self._swept:
            return
        self._swept = time.monotonic()
        gone = collect(self._store, fleet.packages.values(), now=time.time(), grace=self._settings.grace)
        if gone.files:
            self._builder.prune(package.key for package in fleet.packages.values())
            self._tell("Collected", f"{gone.files} files, {gone.size >> 20} MiB")

    def _tell_forge(self, error: TowerosError | None = None) -> None:
        """Begin a round on the forge; about the last good revision while Git itself is what failed."""
        if self._reviews is None or self._fleet is None:
            return
        try:
            revision = self._seen or self._source.deployed()
            failed = error.message.splitlines()[0] if error and self._seen else ""
            if revision:
                self._reviews.start(self._fleet[1], revision, failed)
        except Exception as caught:
            log.error("forge.failed", error=_told(caught).message)

    # --- what people see ----------------------------------------------------------------------------------------------

    def _warn(self) -> None:
        """Raise an alarm, once, for each release tag that would come next and may not."""
        known = (self._store.notes.value(STATUS) or {}).get("alarms", [])
        for alarm in self._source.alarms:
            if f"{_reason(alarm)}: {alarm.message}" not in known:
                self._store.events.add("", "Warning", _reason(alarm), alarm.message)

    def _tell(self, reason: str, message: str, box: str = "") -> None:
        log.info(reason.lower(), message=message, box=box)
        self._store.events.add(box, "Normal", reason, message)

    def _remember_error(self, error: TowerosError) -> None:
        """Best effort: the database may be what failed."""
        try:
            self._save_error(error)
        except Exception as caught:
            log.error("status.lost", error=_told(caught).message)

    def _save_error(self, error: TowerosError) -> None:
        known, now = self._store.notes.value(STATUS) or {}, int(time.time())
        if known.get("error") != error.message:
            self._store.events.add("", "Warning", _reason(error) or type(error).__name__, error.message)
            known |= {"since": now}
        said = {"error": error.message, "hint": error.hint, "reason": _reason(error), "polled": now}
        self._store.notes.set_value(STATUS, {**known, **said})

    def _remember_success(self, done: Pass) -> None:
        said = {"revision": str(done.revision), "signers": list(done.revision.signers), "polled": int(time.time())}
        alarms = [f"{_reason(alarm)}: {alarm.message}" for alarm in self._source.alarms]
        self._store.notes.set_value(STATUS, {**said, "alarms": alarms, "error": ""})
        if not done.plan.empty or done.published:
            self._store.notes.set_value(f"pass/{done.revision.commit}", done.as_json())


def _held(decisions: Mapping[str, rollout.Decision]) -> dict[str, Hold]:
    return {box: each for box, each in decisions.items() if isinstance(each, Hold)}


def _reason(error: TowerosError) -> str:
    """The name of a refusal, for people and monitors; empty for what was not refused."""
    return str(error.reason or "")


def _told(error: Exception) -> TowerosError:
    """Any failure as one that people can read: a disk that is full, a database that is damaged, a mistake of ours."""
    if isinstance(error, TowerosError):
        return error
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return StoreError(f"{where}{error.strerror or error}", hint="is the disk full, or damaged?")
    return TowerosError(f"unexpected: {type(error).__name__}: {error}", hint="set TOWEROS_DEBUG=1 to see where")
