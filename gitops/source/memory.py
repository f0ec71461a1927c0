"""What was deployed last, in the store: the document in the database, the objects that prove it among the blobs.

In: a store. Out: a `Memory`. Rules: it is written in a transaction that compares the lease, so a controller that was
overtaken overwrites nothing; a file of 0.1.0 counts until it is taken over, once.

    memory = StoredMemory(store)
    memory.take_over()
    source = GitSource.of(settings, store.paths.source, memory)
"""

import json
import shutil
from collections.abc import Iterable

import structlog

from gitops.errors import SourceError
from gitops.model import BlobRef, Revision
from gitops.source.trust.deployed import Deployed
from gitops.source.trust.objects import Signed
from gitops.source.trust.rules import policy_of, source_part
from gitops.store import Store
from gitops.store.notes.documents import NAMES, LastDeployed

log = structlog.get_logger(__name__)

DAMAGED = (ValueError, KeyError, TypeError, AttributeError)
ANEW = "to trust the remote's history anew"


class StoredMemory:
    """Implements `Memory`. Whoever only reads it needs no lease."""

    def __init__(self, store: Store) -> None:
        self._notes, self._blobs = store.notes, store.blobs
        self._file, self._evidence = (store.paths.source / name for name in ("deployed.json", "evidence"))

    def last(self) -> Deployed | None:
        """Raises StoreError when the document is damaged, SourceError when it, or the file, is of no known policy."""
        row = self._notes.get(LastDeployed)
        if row is None:
            return self._last_of_file()
        try:
            return Deployed(row.revision, row.epoch, policy_of(row.policy), row.states, dict(row.tags))
        except DAMAGED as error:
            hint = f"restore the database, or remove the row `{NAMES[LastDeployed]}` of its table values_ {ANEW}"
            raise SourceError("the database's document on what is deployed is damaged", hint=hint) from error

    def save(self, deployed: Deployed) -> None:
        """Remember what is deployed now.

        Raises:
            LeaseError: another controller has taken over.
        """
        policy, tags = source_part(deployed.policy), tuple(deployed.tags.items())
        self._notes.put(LastDeployed(deployed.revision, deployed.epoch, policy, deployed.states, tags))

    def keep(self, objects: Iterable[Signed]) -> tuple[BlobRef, ...]:
        """Keep objects that were judged; once they are part of what is deployed, they stay."""
        return tuple(self._blobs.put(each.loose) for each in objects)

    def take_over(self) -> None:
        """Bring what 0.1.0 left in files into the store, unless that is done.

        Raises:
            SourceError: the file is damaged.
            LeaseError: another controller has taken over.
        """
        if not self._file.exists():
            return
        if self._notes.get(LastDeployed) is None and (last := self._last_of_file()):
            for file in self._evidence.glob("*"):
                self._blobs.put(file.read_bytes())
            self.save(last)
            log.info("source.taken_over", file=str(self._file), revision=str(last.revision))
        shutil.rmtree(self._evidence, ignore_errors=True)
        self._file.replace(self._file.with_name(f"{self._file.name}.imported"))

    def _last_of_file(self) -> Deployed | None:
        try:
            row = json.loads(self._file.read_text())
            policy, states, tags = policy_of(row["policy"]), tuple(row.get("states", ())), dict(row.get("tags", {}))
            return Deployed(Revision.of(row["revision"]), int(row["epoch"]), policy, states, tags)
        except FileNotFoundError:
            return None
        except DAMAGED as error:
            hint = f"restore it, or remove it {ANEW}"
            raise SourceError(f"{self._file} is damaged", hint=hint) from error
