"""Whether a name that nobody seems to define may stand where a mistake keeps us from reading it.

In: the bytes of files with mistakes; a name that is not found. Out: whether to say so. Rules: a name that one of those
files mentions is no mistake of who uses it; where they are whole enough to be looked through, any other is; where they
are not, one that is nearly the same as a name that is there.

    Doubt.of(b"values: {channel: [7}", "values").may_hold("channel", ())        # -> True
"""

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass

from gitops.fleet.documents.budget import may_hint

NEAR = 0.8
"""Of difflib's ratio: one letter of four is another."""
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Doubt:
    """Files that cannot be read. `whole`: what they hold is still there, as words at least."""

    words: frozenset[str] = frozenset()
    whole: bool = True

    @classmethod
    def of(cls, data: bytes, *keys: str) -> "Doubt":
        """One file, of which the part below one of `keys` is in doubt."""
        words = frozenset(_WORD.findall(data.decode(errors="replace")))
        return cls(words, any(key in words for key in keys))

    def __or__(self, other: "Doubt") -> "Doubt":
        return Doubt(self.words | other.words, self.whole and other.whole)

    def may_hold(self, name: str, known: Collection[str]) -> bool:
        """Whether a name may be there. `known`: names that are found."""
        if name in self.words:
            return True
        if self.whole:
            return False
        names = {*self.words, *known}
        if re.search(r"\d", name) or not may_hint((len(name) + 1) * sum(map(len, names))):
            return True  # web1 is no slip of web2
        return not difflib.get_close_matches(name, names, n=1, cutoff=NEAR)
