"""Who looks at a page: what it must know to show no more than that person may see. Pure.

In: a person, and the word of the session's forms. Out: a `Viewer`, equal for equal persons. Rules: whoever has a grant
for the whole fleet sees all of it; who has grants for sites sees these, and nothing that is of no site.

    viewer = Viewer(Person("ada", (Grant(Role.viewer, "north"),)), "8f3e...")
    viewer.whole, viewer.sees("north"), viewer.sees("south")       # False, True, False
"""

from typing import NamedTuple

from gitops.model.access.person import EVERYWHERE, Grant, Person, Role, may

ANYBODY = Person("", (Grant(Role.viewer),), "open")
"""Whoever reaches the listener, where nobody can log in: looks, and does nothing."""


class Viewer(NamedTuple):
    """`token`: what forms of the page send along; `warning`: what the page says of how it is reached."""

    person: Person = ANYBODY
    token: str = ""
    warning: str = ""

    @property
    def whole(self) -> bool:
        """Whether this person may look at the whole fleet."""
        return may(self.person, Role.viewer)

    @property
    def sites(self) -> frozenset[str]:
        """Those that this person may look at, where it is not all of them."""
        return frozenset(grant.site for grant in self.person.grants) - {EVERYWHERE}

    def sees(self, site: str) -> bool:
        return self.whole or (bool(site) and site in self.sites)

    def may(self, role: str, site: str = EVERYWHERE) -> bool:
        """For templates: whether this person may do what needs this role there."""
        return may(self.person, Role(role), site)

    @property
    def nameless(self) -> "Viewer":
        """For what does not name who asks: one answer for all who may see the same."""
        return Viewer(Person("", tuple(sorted(self.person.grants, key=str)), "open"))


NOBODY_IN_PARTICULAR = Viewer()
