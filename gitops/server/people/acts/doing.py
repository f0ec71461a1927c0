"""An act of somebody who may: what is there before, and the same functions that the command line calls.

In: a store, who asks, what is said. Out: whether it is new. Rules: of a box that somebody may not see there is none;
the role that is needed is that of an operator, at the box's site, or everywhere for what concerns the whole fleet.

    doer = Doer(store, log)
    doer.seen("box", "hold", "site-7").words
    doer.do("box", "hold", "site-7", Words("the mast is open"), by)
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from starlette.exceptions import HTTPException
from starlette.requests import Request

from gitops.errors import TowerosError
from gitops.model.access.by import By
from gitops.model.access.person import EVERYWHERE, Role
from gitops.rollout import holds
from gitops.rollout.places import places
from gitops.server.boxes.reports import is_name
from gitops.server.people.acts.kinds import ACTS, Seen, Words
from gitops.server.people.guard.acts import tell
from gitops.server.people.guard.known import needs, person
from gitops.server.people.guard.viewer import Viewer
from gitops.server.people.pages.snapshot import NOWHERE
from gitops.store import Store
from gitops.store.audit.log import AuditLog
from gitops.store.notes.adopting import Adoptions
from gitops.store.notes.waves import Waves
from gitops.workflows.acting import adopting, boxes, rollout
from gitops.workflows.acting.acting import Acting
from gitops.workflows.enrolment import newcomers


def _release(acting: Acting, box: str, said: Words) -> bool:
    boxes.release(acting, box, said.reason, said.seen)
    return True


def _resume(acting: Acting, _: str, said: Words) -> bool:
    rollout.resume(acting, said.reason, said.seen)
    return True


DOES: Mapping[tuple[str, str], Callable[[Acting, str, Words], bool]] = {
    ("box", "hold"): lambda acting, box, said: boxes.hold(acting, box, said.reason, said.seen),
    ("box", "release"): _release,
    ("box", "retry"): lambda acting, box, said: boxes.retry(acting, box, said.reason),
    ("fleet", "hold"): lambda acting, _, said: boxes.hold(acting, holds.ALL, said.reason, said.seen),
    ("fleet", "release"): lambda acting, _, said: _release(acting, holds.ALL, said),
    ("rollout", "pause"): lambda acting, _, said: rollout.pause(acting, said.reason, said.seen),
    ("rollout", "resume"): _resume,
    ("rollout", "abort"): lambda acting, _, said: rollout.abort(acting, said.reason, said.seen),
    ("rollout", "promote"): lambda acting, _, said: rollout.promote(acting, said.wave, said.reason, said.seen),
    ("newcomer", "adopt"): lambda acting, code, said: adopting.adopt(acting, code, said.box, said.role, said.reason),
}


class Doer:
    """Of one server."""

    def __init__(self, store: Store, log: AuditLog) -> None:
        self._store, self.log = store, log

    def may(self, request: Request, of: str, name: str) -> None:
        """Raises:
        HTTPException: 404, there is no such box for who asks; 403, who asks may not.
        """
        site = EVERYWHERE
        if of == "box":
            place = places(self._store).get(name, NOWHERE)
            there = is_name(name) and self._store.states.one(name) is not None
            if not there or not Viewer(person(request)).sees(place.site):
                raise HTTPException(404, f"there is no box {name[:100]}")
            site = place.site
        needs(request, Role.operator, site)

    def seen(self, of: str, act: str, name: str) -> Seen:
        """How it is now."""
        if act == "promote":
            states = (self._store.notes.get(Waves) or Waves()).states
            waited = {each.name: each.content for each in states if each.says}
            return Seen("", "", bool(waited), waited)
        if act == "abort":
            return self._deployed()
        if act == "adopt":
            return self._waiting(name)
        if of == "rollout":
            words = rollout.paused(self._store)
            return Seen(
                f"Paused by {words}" if words else "Nobody has paused it.", words, bool(words) or act == "pause"
            )
        if act == "retry":
            return Seen()
        words = holds.operator(self._store, holds.ALL if of == "fleet" else name)
        return Seen(f"Held by {words}" if words else "Nobody holds it.", words, bool(words) or act == "hold")

    def do(self, of: str, act: str, name: str, said: Words, by: By) -> bool:
        """Raises:
        TowerosError: it cannot be done. StaleError: what was seen is not so any more. StoreError: it has no line in
            the audit log.
        """
        assert (of, act) in ACTS
        return DOES[of, act](Acting(self._store, self.log, by, int(time.time())), name, said)

    def _waiting(self, code: str) -> Seen:
        """The machine with this code, what it says of itself, and what was proposed already."""
        try:
            key, newcomer = newcomers.find(self._store, code, int(time.time()))
        except TowerosError:
            return Seen(there=False)
        proposed = (self._store.notes.get(Adoptions) or Adoptions()).rows.get(key)
        claims = ", ".join((*[f"serial {newcomer.serial}"] * bool(newcomer.serial), *newcomer.macs)) or "nothing"
        words = f"It runs the medium of {newcomer.role}, at {newcomer.address}, and says of itself: {claims}."
        words += f" To be {proposed}." if proposed else ""
        return Seen(words, key, not newcomer.box, role=newcomer.role)

    def _deployed(self) -> Seen:
        try:
            revision = rollout.deployed(self._store)
        except TowerosError:
            return Seen(there=False)
        return Seen(str(revision), revision.commit)


@contextmanager
def refusals(request: Request, of: str, act: str, name: str) -> Iterator[None]:
    """An act that somebody may not do has its line, too (bounded, as of any stranger)."""
    try:
        yield
    except HTTPException as error:
        if error.status_code == 403:
            tell(request, f"{of}.{act}", name, outcome=f"refused: {error.detail}")
        raise


def by(request: Request) -> By:
    """Who acts, and from where."""
    asks = person(request)
    return By(asks.name, asks.how, request.client.host if request.client else "")
