"""Boxes that a site's own server takes for its own by what Git says of them: `site:`, labels, or both. Pure.

In: the words that it was started with, what is signed of a box. Out: whether that is one of them. Rules: all conditions
must fit; labels are signed only of boxes that name a site's own server (`noc:`), so that they cost the others nothing.

    Chosen(site="roof", labels=("floor=3",)).fits({"site": "roof", "labels": ["floor=3", "owner=ada"]})
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gitops.errors import SettingsError
from gitops.publish.targets import HOLD_LENGTH, LABELS, SITE

LABEL = re.compile(r"[^=\s][^=]{0,99}=.{0,300}")


@dataclass(frozen=True)
class Chosen:
    """`labels`: KEY=VALUE each."""

    site: str = ""
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for each in self.labels:
            if not LABEL.fullmatch(each):
                raise SettingsError(f"--label {each[:80]!r}: KEY=VALUE is expected", hint="as in the boxes' `labels:`")

    def __bool__(self) -> bool:
        return bool(self.site or self.labels)

    @property
    def words(self) -> str:
        """As files of the fleet repo say it."""
        site = [f"site: {self.site}"] if self.site else []
        return ", ".join((*site, *(f"labels: {{{each.replace('=', ': ', 1)}}}" for each in self.labels)))

    def fits(self, stated: Mapping[str, object]) -> bool:
        """Whether the signed metadata say all of it."""
        said = stated.get(LABELS)
        labels = {each for each in said if isinstance(each, str)} if isinstance(said, list) else set()
        return (not self.site or stated.get(SITE) == self.site[:HOLD_LENGTH]) and {*self.labels} <= labels


EVERYBODY = Chosen()
"""Nothing is asked of a box: it is nobody's by that."""
