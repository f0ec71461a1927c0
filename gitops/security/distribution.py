"""Which release of Debian locks are of, before anything was built of them. Pure.

In: names and versions of Debian packages. Out: `debian:13`, or nothing. Rules: `base-files` has its number (its version
is the point release's); without that one, most of those that carry it (`+deb13u2`, `~deb13u1`; Debian developers'
reference, 5.8.5.4).
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Protocol

BASE = re.compile(r"(\d+)([.+~]|$)")
UPDATE = re.compile(r"[+~]deb(\d+)u\d+")


class Named(Protocol):
    """A package, locked or found."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...


def distribution_of(packages: Iterable[Named]) -> str:
    """Empty: nothing tells it. Wheels tell nothing: their versions have no `+deb13u2`."""
    debian = list(packages)
    named = [match[1] for each in debian if each.name == "base-files" and (match := BASE.match(each.version))]
    told = named or [match[1] for each in debian if (match := UPDATE.search(each.version))]
    return f"debian:{Counter(told).most_common(1)[0][0]}" if told else ""
