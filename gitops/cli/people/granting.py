"""Roles and sites, as the verbs on people and tokens take and show them.

grants(["operator@north", "viewer"], [])        # (operator at north, viewer everywhere)
grants(["viewer"], ["north", "south"])          # (viewer at north, viewer at south)
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli.output import talk
from gitops.errors import TowerosError
from gitops.model.access.person import EVERYWHERE, Grant, Role

if TYPE_CHECKING:
    from gitops.store import Store

MOST, LONGEST = 100, 200
"""Grants of one person; characters of a site's name."""
RoleOption = Annotated[
    list[str] | None,
    typer.Option("--role", metavar="ROLE[@SITE]", help="viewer, operator or admin; at one site, or everywhere."),
]
SiteOption = Annotated[list[str] | None, typer.Option("--site", help="Where a --role without @SITE counts; repeat it.")]


def grants(roles: Sequence[str], sites: Sequence[str]) -> tuple[Grant, ...]:
    """Raises TowerosError: there is no such role, or a site has no name."""
    found = dict.fromkeys(grant for each in roles for grant in _of(each, sites))
    if not found:
        raise TowerosError("what may that be?", hint="--role viewer, operator or admin; with --site SITE: there alone")
    if len(found) > MOST:
        raise TowerosError(f"these are more than {MOST} grants", hint="a role without a site counts everywhere")
    return tuple(found)


def _of(said: str, sites: Sequence[str]) -> list[Grant]:
    role, at, site = said.partition("@")
    if role not in list(Role):
        raise TowerosError(f"there is no role {role[:100]!r}", hint=f"there are {', '.join(Role)}")
    places = [site] if at else list(sites) or [EVERYWHERE]
    if any(not each.strip() or len(each) > LONGEST for each in places):
        raise TowerosError("this is no name of a site", hint="--role ROLE@SITE, as `site:` of the boxes has it")
    return [Grant(Role(role), each) for each in places]


def told(found: Sequence[Grant]) -> str:
    """For a table."""
    return ", ".join(str(each.role) if each.site == EVERYWHERE else f"{each.role}@{each.site}" for each in found)


def doubt(store: "Store", found: Sequence[Grant]) -> None:
    """Say so where no box is at a site that is named: it may be written in another way."""
    from gitops.rollout.places import places

    there = {place.site for place in places(store).values()} | {EVERYWHERE}
    for site in sorted({each.site for each in found} - there):
        talk.print(f"no box is at a site called {site!r} yet")
