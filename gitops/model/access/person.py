"""Somebody who asked, and what that person may do.

In: grants, as settings, a login or a token gave them. Out: yes or no. Rules: a role holds what the weaker ones hold; a
grant for a site counts there alone, and what concerns the whole fleet needs a grant for the whole fleet; nobody may
anything without a grant.

    may(Person("ada", (Grant(Role.operator, "north"),)), Role.operator, site="north")     # True
"""

import enum
from dataclasses import dataclass

EVERYWHERE = "*"


class Role(enum.StrEnum):
    """What may be done: look; act on boxes; act on people and on the fleet's own affairs."""

    viewer = "viewer"
    operator = "operator"
    admin = "admin"


RANK = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True)
class Grant:
    """A role at one site, or everywhere."""

    role: Role
    site: str = EVERYWHERE


@dataclass(frozen=True)
class Person:
    """Whom an account, a provider's token or an API token stands for. `how`: `account`, `oidc`, `token`, `cli`."""

    name: str
    grants: tuple[Grant, ...] = ()
    how: str = "account"


def may(person: Person, needs: Role, site: str = EVERYWHERE) -> bool:
    """Whether one of the grants covers it; the site of what concerns no site in particular is EVERYWHERE."""
    return any(RANK[held.role] >= RANK[needs] and held.site in (EVERYWHERE, site) for held in person.grants)
