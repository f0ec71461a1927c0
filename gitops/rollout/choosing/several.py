"""Several boxes that one act is about: by role, site and labels, as Git said at the last pass.

In: words as `toweros status` has them, the places of all boxes. Out: names. Rules: of several roles or sites one fits,
each label must; `-` is no site; no word at all means nobody, for the whole fleet has a word of its own; a role or site
that no box has is a mistake, and so are words that fit no box.

    Several(sites=("depot",)).of(places(store))     # ["site-7", "site-9"]
    Several(sites=("depot",)).words                 # "site=depot"
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gitops.errors import TowerosError
from gitops.rollout.choosing.named import NONE, nearest
from gitops.store.notes.directory import Place


@dataclass(frozen=True)
class Several:
    """Which are meant; falsy: nothing is said."""

    roles: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.roles or self.sites or self.labels)

    @property
    def words(self) -> str:
        """As somebody would say it: in the audit log, and before somebody says yes."""
        roles, sites = (f"role={each}" for each in self.roles), (f"site={each}" for each in self.sites)
        return " ".join([*roles, *sites, *(f"{key}={value}" for key, value in self.labels)])

    def of(self, places: Mapping[str, Place]) -> list[str]:
        """By name.

        Raises:
            TowerosError: there is no such role or site, or no box is meant.
        """
        known = (("role", self.roles, {each.role for each in places.values()}),
                 ("site", self.sites, {each.site or NONE for each in places.values()}))  # fmt: skip
        for word, asked, there in known:
            if wrong := next((name for name in asked if name not in there), None):
                raise TowerosError(f"no box has the {word} {wrong[:100]}", hint=nearest(wrong, there))
        found = sorted(name for name, place in places.items() if self and self._fits(place))
        if not found:
            raise TowerosError(f"no box is meant by {self.words[:200]}", hint="`toweros status` takes the same words")
        return found

    def _fits(self, place: Place) -> bool:
        return (
            (not self.roles or place.role in self.roles)
            and (not self.sites or (place.site or NONE) in self.sites)
            and all(place.labels.get(key) == value for key, value in self.labels)
        )
