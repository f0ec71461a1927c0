"""Words by which boxes are named, on the command line and on pages alike. Pure.

is_revision("v1.4.0@sha1:5c1e7aab...", "5c1e7aa")       # True
nearest("adda", ["ada", "ben"])                         # "is ada meant?"
"""

import difflib
from collections.abc import Iterable

COMMIT = 7
"""Letters of a commit's beginning, at least."""
SILENT = ("Missing", "Late", "Unknown")
NONE = "-"
"""A site, agent or kernel: of boxes that have none, or say none."""


def is_revision(shown: str, named: str) -> bool:
    """`shown`: `v1.4.0@sha1:5c1e...`; `named`: that, `v1.4.0`, or the beginning of `5c1e...`."""
    ref, _, commit = shown.partition("@sha1:")
    return named in (shown, ref) or (len(named) >= COMMIT and commit.startswith(named))


NEAR, LISTED = 3, 8
"""Names that are said to be meant, and that are said to exist."""


def nearest(name: str, known: Iterable[str]) -> str:
    """What may be meant by a name that nobody has: the nearest ones, else the first of those that there are."""
    names = sorted({each for each in known if each})
    folded = {each.casefold(): each for each in names}
    near = [folded[each] for each in difflib.get_close_matches(name.casefold(), folded, n=NEAR)]
    if near:
        return f"is {' or '.join(near)} meant?"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"there are: {', '.join(names[:LISTED])}{more}" if names else "there are none yet"
