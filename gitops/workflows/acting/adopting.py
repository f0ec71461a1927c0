"""A machine that waits for a name gets one from the pages: the controller proposes the commit that `toweros box adopt`
would make.

In: the machine's code, as its console shows it; a name, a role. Out: a document that the next pass carries out
(`workflows/enrolment/proposing.py`). Rules: what names a machine is a commit that somebody who may deploy takes (ADR
64): nothing here lets a key in; a box that there is gets no other machine this way.

    adopt(acting, "3b6a-27bc-9f86-d081-884c", "site-9", "vm", "for the new mast")
"""

import re

from gitops.errors import TowerosError
from gitops.fleet.schema import NAME
from gitops.rollout.places import places
from gitops.store.notes.adopting import Adoption, Adoptions
from gitops.store.notes.working import Woken
from gitops.workflows.acting.acting import Acting, StaleError, ended, reason
from gitops.workflows.enrolment import newcomers

MOST = 64
"""Machines that are remembered; those that are settled go first."""


def adopt(acting: Acting, code: str, name: str, role: str, why: str) -> bool:
    """Have it proposed. False: the same was said already.

    Raises:
        TowerosError: the name is none, or taken; there is no reason; too many wait. StaleError: no machine asks with
            this code any more, it has a name by now, or another one is proposed.
    """
    why = reason(why)
    with acting.doing("box.adopt", f"{name} {code}", why) as doing:
        wanted = _wanted(acting, code, name, role, why)
        said: list[bool] = []

        def asked(old: Adoptions) -> Adoptions:
            before = old.rows.get(wanted.key)
            said.append(before is not None and not before.ended and _same(before, wanted))
            if said[-1]:
                return old
            if before and before.pushed and not before.ended:
                raise StaleError(f"it is {before}", hint="close that pull request, or delete the branch, first")
            return Adoptions(_room({**old.rows, wanted.key: wanted}))

        acting.store.notes.change(Adoptions, asked)
        if not said[-1]:
            acting.store.notes.change(Woken, lambda old: Woken(old.times + 1, acting.now))
        return ended(doing, not said[-1])


def _wanted(acting: Acting, code: str, name: str, role: str, why: str) -> Adoption:
    try:
        key, newcomer = newcomers.find(acting.store, code, acting.now)
    except TowerosError as error:
        raise StaleError(error.message, hint="a machine that waits is heard every few minutes") from error
    if newcomer.box:
        raise StaleError(f"this machine is {newcomer.box} by now")
    for word, text in (("name", name), ("role", role or newcomer.role)):
        if not re.fullmatch(NAME, text):
            hint = "small letters, digits and, between them, `-`, 63 at most"
            raise TowerosError(f"{text[:100]!r} is no {word} that a box can have", hint=hint)
    if name in places(acting.store) or acting.store.states.one(name) is not None:
        hint = "another name; `toweros box adopt --replace` puts this machine in that box's place"
        raise TowerosError(f"there is a box {name} already", hint=hint)
    others = (acting.store.notes.get(Adoptions) or Adoptions()).rows.values()
    if other := next((each for each in others if each.name == name and each.key != key and not each.ended), None):
        raise TowerosError(f"another machine is to be {other}", hint="another name")
    return Adoption(key, name, role or newcomer.role, acting.by.name, why, acting.now)


def _same(before: Adoption, wanted: Adoption) -> bool:
    return (before.name, before.role) == (wanted.name, wanted.role)


def _room(rows: dict[str, Adoption]) -> dict[str, Adoption]:
    """At most `MOST`: what is settled goes first, the oldest of it."""
    for key in [key for key, each in rows.items() if each.ended][: max(len(rows) - MOST, 0)]:
        del rows[key]
    if len(rows) > MOST:
        raise TowerosError(f"{MOST} machines wait for their commits already", hint="merge those first")
    return rows
