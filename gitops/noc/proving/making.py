"""A release, made again by ourselves: the commit that the origin names, judged by the fleet repo's policy, built here.

In: settings with the fleet repo, what the origin's metadata state of a box's release, the server in its addon. Out: the
release, its UKI, addon and systemd-boot, unsigned. Rules: nothing of the origin's goes in but that statement and that
server, which Git does not know; what our own store has of an earlier time is not built again.

    bench = Bench.of(settings)
    bench.make("site-7", statement, sequence=12, server="http://updates.example:8080")
"""

import re
from dataclasses import dataclass, replace

import structlog

from gitops.assemble.release import Assembled
from gitops.builders import Builder, builder_of
from gitops.errors import SourceError, TowerosError
from gitops.fleet import load_fleet
from gitops.model import Existing, Fleet, Revision, Statement
from gitops.plan import plan
from gitops.settings import Settings
from gitops.source.clone.remote import Access
from gitops.source.memory import StoredMemory
from gitops.source.offered import Offered
from gitops.source.trust.signatures import FirstKeys
from gitops.store import Store
from gitops.workflows.journal import Journal
from gitops.workflows.sweep import Sweeper
from gitops.workflows.workshop import Workshop

log = structlog.get_logger(__name__)
MARK, COMMIT = "@sha1:", re.compile(r"[0-9a-f]{40}")


class RefusedError(TowerosError):
    """The origin offers what the fleet repo's policy does not let deploy."""


@dataclass(frozen=True)
class Made:
    """A release made here, and the revision as we judged it."""

    revision: Revision
    assembled: Assembled


class Bench:
    """Where releases are made again: a store, a builder and a clone of our own below `settings.state`."""

    def __init__(self, settings: Settings, store: Store, builder: Builder) -> None:
        self._settings, self.store, self._builder = settings, store, builder
        first = FirstKeys(settings.allowed_signers, settings.openpgp_keys)
        self._repo = Offered(Access.of(settings), store.paths.source, StoredMemory(store), first)
        self._sweeper = Sweeper(store, builder, Journal(store), settings.grace)
        self._fleet: tuple[str, Fleet] | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Bench":
        """Raises TowerosError: the settings name no fleet repo, or the folder cannot be used."""
        store = Store.of(settings, migrate=True)
        return cls(settings, store, builder_of(settings, store))

    def make(self, name: str, stated: Statement, sequence: int, server: str) -> Made:
        """The release of a box again.

        Raises:
            RefusedError: the commit may not deploy, or is none of this box. TowerosError: it does not build.
        """
        with self.store.lease.held():
            revision = self._judged(stated, sequence)
            tree = self._repo.tree(revision)
            fleet = self._loaded(revision)
            if name not in fleet.boxes:
                raise RefusedError(f"{revision} has no box {name}")
            alone = replace(fleet, boxes={name: fleet.boxes[name]})
            settings = self._settings.model_copy(update={"server": server})
            workshop = Workshop(settings, self.store, self._builder, (revision, tree), alone, listed=False)
            for step in plan(alone, revision, Existing()).builds:
                log.info("noc.build", package=step.subject)
                workshop.build(step.subject)
            made = Made(revision, workshop.assemble(name))
            self._sweeper.sweep(fleet)
            return made

    def _judged(self, stated: Statement, sequence: int) -> Revision:
        """The revision, by our own count; the epoch is the controller's own, and nothing says it but the sequence."""
        ref, mark, commit = stated.revision.rpartition(MARK)
        if not mark or not COMMIT.fullmatch(commit):
            raise RefusedError(f"{stated.revision[:80]!r} names no commit")
        try:
            revision = self._repo.accept(ref, commit)
        except SourceError as error:
            if error.transient:
                raise
            raise RefusedError(f"{stated.revision}: {error.message}", hint=error.hint) from error
        if sequence < revision.sequence:
            raise RefusedError(f"{stated.revision} has the sequence {revision.sequence}, not {sequence}")
        return replace(revision, sequence=sequence)

    def _loaded(self, revision: Revision) -> Fleet:
        if self._fleet is None or self._fleet[0] != revision.commit:
            fleet = load_fleet(self._repo.tree(revision), platform=self._settings.platform)
            self._fleet = (revision.commit, fleet)
        return self._fleet[1]
