"""An act of a person: with a reason, written down first, and done once however often it is said.

In: a store, its audit log, who acts. Out: what `toweros suspend` and its like do, or an error that says why not. Rules:
who says the same again changes nothing and is told so; who acts on what is there no more, or is another thing by now,
changes nothing either (`StaleError`); every act has a line in the audit log, also one that came to nothing.

    acting = Acting(store, AuditLog(store.paths.audit, store.notes), By("ada", "account"), now)
    with acting.doing("box.hold", "site-7", why) as doing: ...
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from gitops.errors import TowerosError
from gitops.model.access.by import By
from gitops.store import Store
from gitops.store.audit.log import AuditLog, Doing

LONGEST = 500
"""Characters of a reason."""
ALREADY = "done already"


class StaleError(TowerosError):
    """What somebody saw, and acts on, is not so any more."""


@dataclass(frozen=True)
class Acting:
    """`now`: Unix seconds."""

    store: Store
    log: AuditLog
    by: By
    now: int

    def doing(self, what: str, subject: str, why: str) -> AbstractContextManager[Doing]:
        """The act within has its line. Raises StoreError: it has none, and may not be done."""
        return self.log.doing(self.by.act(what, subject, why, self.now))

    def happened(self, what: str, subject: str, why: str, outcome: str, now: int) -> None:
        """A line of what came of it later. Raises StoreError: it cannot be written."""
        self.log.note(replace(self.by.act(what, subject, why, now), outcome=outcome))


def audit_log(store: Store) -> AuditLog:
    """The one of a store."""
    return AuditLog(store.paths.audit, store.notes)


def reason(text: str, hint: str = "say it with --why") -> str:
    """One line of it.

    Raises:
        TowerosError: there is none, or it is too long.
    """
    if not (words := " ".join(text.split())):
        raise TowerosError("a reason is missing", hint=hint)
    if len(words) > LONGEST:
        raise TowerosError(f"the reason has {len(words)} characters, {LONGEST} at most", hint="say it shorter")
    return words


def ended(doing: Doing, new: bool) -> bool:
    """Note that an act was done before, where it was."""
    doing.outcome = doing.outcome if new else ALREADY
    return new
