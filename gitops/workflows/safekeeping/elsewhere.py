"""The audit log that a restored database remembers, where that log is not on this machine.

In: the log here, the restored store. Out: how far the other log was, once; the database remembers the log here from
then on. Rules: the log is no part of a backup (ADR 102), so on a new machine it begins anew; what it was is said and
written into the new one, so that nobody who verifies it takes a move for lines that were removed, and nobody hides such
behind a move: an export of before is proven by the number and digest that are told.

    left = begun_anew(AuditLog(paths.audit), store)     # AuditHead(812, "4f0c...") or None
"""

from gitops.model import sha256
from gitops.store import Store
from gitops.store.audit.log import AuditLog
from gitops.store.notes.audited import AuditHead

ELSEWHERE = "audit.elsewhere"
"""The act whose subject is NUMBER:SHA256, where the log of before ended."""


def begun_anew(log: AuditLog, store: Store) -> AuditHead | None:
    """None: the log here has the line that is remembered, or none is."""
    head = store.notes.get(AuditHead)
    if head is None or not head.number or _has(log, head):
        return None
    store.notes.put(AuditHead())
    return head


def _has(log: AuditLog, head: AuditHead) -> bool:
    """By the digest alone: the number is part of what it is of."""
    return any(sha256(data.rstrip(b"\n")) == head.digest for _, _, data in log.files.lines())
