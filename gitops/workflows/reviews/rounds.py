"""Pull requests and the rollout, shown on the forge beside the loop: the forge may be slow or away, deployments go on.

In: settings, the store, after each pass what it came to. Out: comments and commit statuses. Rules: one round at a time,
in a thread of its own; nothing that goes wrong here reaches the loop: it is logged, remembered, and an event once.
Pull requests are planned from their files alone (nothing of them runs), each in a process of its own (`stranger`); one
is built only when a maintainer asks.

    reviews = Reviews.of(settings, store)       # None without a forge
    reviews.start(fleet, revision)
"""

import threading
import time
from dataclasses import replace
from pathlib import Path

import structlog

from gitops.errors import ForgeError, SourceError, TowerosError
from gitops.forges.connect import connect
from gitops.forges.forge import Forge, Pull
from gitops.model import BoxState, EventType, Fleet, Happened, Health, Revision, Sync
from gitops.review.nouns import Summary
from gitops.rollout.holds import reasons
from gitops.settings import Settings
from gitops.source import Access
from gitops.source.clone.commits import LocalClone
from gitops.source.clone.pulls import PullClone
from gitops.store import Store
from gitops.store.files.layout import Scratch
from gitops.store.notes.documents import ForgeMemory
from gitops.workflows.making.trial import measure
from gitops.workflows.preview import preview
from gitops.workflows.reviews import stranger
from gitops.workflows.reviews.reviewer import Deployment, Reviewer
from gitops.workflows.security.advisories import Advisories

log = structlog.get_logger(__name__)


class Reviews:
    """Rounds on one forge."""

    def __init__(self, forge: Forge, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._clone: PullClone | None = None
        self._reviewer = Reviewer(forge, self.plan, store.notes, settings.link)
        self._resume = 0.0
        self._thread: threading.Thread | None = None

    @classmethod
    def of(cls, settings: Settings, store: Store) -> "Reviews | None":
        """Rounds on the forge that the settings name, if they name one.

        Raises:
            SettingsError: they do not say which repository.
        """
        forge = connect(settings)
        return cls(forge, settings, store) if forge else None

    def start(self, fleet: Fleet, revision: Revision, error: str = "") -> None:
        """Begin a round, unless one is under way. Returns at once."""
        if self._thread and self._thread.is_alive():
            return
        self._thread = threading.Thread(target=self.round, args=(fleet, revision, error), name="forge", daemon=True)
        self._thread.start()

    def round(self, fleet: Fleet, revision: Revision, error: str = "") -> None:
        """One round, here and now; never raises. `error`: why `revision` cannot be carried out."""
        if time.time() < self._resume:
            return
        try:
            news = Deployment(revision.commit, 0, 0, error=error) if error else deployment(self._store, fleet, revision)
            self._reviewer.round(fleet.policy.branch, news)
            self._resume, problem = 0.0, ""
        except ForgeError as caught:
            self._resume, problem = time.time() + caught.wait, f"{caught.message}; {caught.hint}"
        except Exception as caught:
            problem = caught.message if isinstance(caught, TowerosError) else f"unexpected: {type(caught).__name__}"
        self._note(problem)

    def plan(self, pull: Pull, build: bool) -> Summary:
        """A pull request's plan, from its files; what was fetched for it is gone afterwards.

        Raises:
            TowerosError: it cannot be fetched, has mistakes, or takes too much.
        """
        self._clone = self._clone or PullClone(Access.of(self._settings), self._store.paths.review)
        try:
            self._clone.follow(pull.branch)
        except SourceError as error:
            raise ForgeError(error.message, hint=error.hint, wait=30.0 if error.transient else 0.0) from error
        with self._store.paths.scratch(Scratch.pull) as scratch:
            summary = stranger.plan(self._settings, pull, Path(scratch))
            return self._measured(pull, LocalClone(Path(scratch) / "clone.git")) if build else summary

    def _measured(self, pull: Pull, clone: LocalClone) -> Summary:
        """A maintainer asked for it, and it can be read within bounds: it is built as if it were ours."""
        question = stranger.ask(self._settings, pull, clone)
        measured = measure(question, self._store, self._settings)
        return preview(question, self._store, measured, Advisories(self._store, self._settings.feeds))

    def _note(self, problem: str) -> None:
        """Say what is wrong once, and that it is over once."""
        try:
            memory = self._store.notes.get(ForgeMemory) or ForgeMemory()
            if memory.error == problem:
                return
            self._store.notes.put(replace(memory, error=problem))
            if problem:
                log.warning("forge.failed", error=problem)
                self._store.events.add("", EventType.WARNING, Happened.FORGE, problem)
            else:
                self._store.events.add("", EventType.NORMAL, Happened.FORGE, "the forge answers again")
        except Exception as caught:
            log.error("forge.lost", error=type(caught).__name__)


def deployment(store: Store, fleet: Fleet, revision: Revision) -> Deployment:
    """How far a deployed revision is: which boxes run what they are to run, and are healthy."""
    held = reasons(fleet, store).keys()
    states = {state.name: state for state in store.states.all()}
    healthy, failed, now = 0, [], time.time()
    for name in sorted({*fleet.boxes} - held):
        state = states.get(name, BoxState(name))
        healthy += state.sync == Sync.SYNCED and state.heard(now) == Health.HEALTHY
        failed += [name] if state.wanted.content in state.failed else []
    return Deployment(revision.commit, healthy, len(fleet.boxes) - len(held), tuple(failed), len(held))
