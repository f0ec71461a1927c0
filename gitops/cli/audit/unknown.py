"""Whether a name that has no line in the audit log is one that somebody mistyped.

In: the log, the store where there is one, a name. Out: nothing, or an error that says who is known. Rules: an account,
a token or a box that did nothing yet is known all the same; what `--who` of another verb said proves nothing and is
told apart.

    known_who(log, store, "adda")       # TowerosError: nobody of the audit log is adda; is ada meant?
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from gitops.errors import StoreError, TowerosError
from gitops.rollout.choosing.named import nearest
from gitops.store.notes.people import Account, ApiToken

if TYPE_CHECKING:
    from gitops.store import Store
    from gitops.store.audit.log import AuditLog


def known_who(log: "AuditLog", store: "Store | None", who: str) -> None:
    """Raises TowerosError: nobody is called so."""
    acts = [line.act for line, _ in log.newest()]
    known = {act.who for act in acts} | {*_people(store)}
    if who in known:
        return
    beside = sum(act.reason.startswith(f"as {who}: ") for act in acts)
    told = f"{beside} lines have it as what --who of a verb said, which proves nothing; " if beside else ""
    raise TowerosError(f"nobody of the audit log is {who[:100]}", hint=f"{told}{nearest(who, known)}")


def known_subject(log: "AuditLog", store: "Store | None", subject: str) -> None:
    """Raises TowerosError: nothing is called so, neither in the log nor among the boxes."""
    known = {line.act.subject for line, _ in log.newest()}
    with suppress(StoreError):  # it is away: what stands in the log is known
        known |= {each.name for each in store.states.all()} if store else set()
    if subject not in known:
        raise TowerosError(f"nothing of the audit log is about {subject[:100]}", hint=nearest(subject, known))


def _people(store: "Store | None") -> Iterator[str]:
    from gitops.workflows.access.kept import every

    with suppress(StoreError):
        if store:
            yield from every(store.notes, Account)
            yield from (token.name for token in every(store.notes, ApiToken).values())
