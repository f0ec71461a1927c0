"""One thing that is wrong with how a box is wired. Pure.

In: nothing. Out: where it is, what it is, and the fix.

    Mistake("mgmt", "parent", "there is no link `lan`", lacking="lan")
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """`link` is its name, `key` the part of it that is wrong ("": all of it)."""

    link: str
    key: str
    message: str
    hint: str = ""
    lacking: str = ""
    """A link that is named, and is none."""
