"""A line of the audit log: what somebody did, and the digest of the line before.

In: an act. Out: one line of canonical JSON, and back. Rules: every text is cut and has no control characters, so that
an act is one line and no terminal acts on it; the digest of a line is that of its bytes without the line's end; the
first line of all has `FIRST` before it.

    line = Line(18, previous.digest, Act(1795000000, "ada", "account", "192.0.2.7", "box.hold", "site-7", "the mast"))
    parse(line.encode()) == line
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from gitops.model import canonical, sha256
from gitops.model.access.act import Act

FIRST = "0" * 64
BEGUN = "begun"
"""The outcome of a line that another one ends."""
LENGTHS = {"who": 100, "how": 20, "address": 100, "what": 50, "subject": 200, "reason": 500, "outcome": 300}
"""Characters."""
MOST = 16 << 10
"""Bytes of a line: what the lengths come to at most, and its end."""


class LineError(ValueError):
    """It is no line of an audit log."""


@dataclass(frozen=True)
class Line:
    """`number`: from 1 on; `before`: the digest of the line before; `ends`: the number of the line whose act this is
    the outcome of, 0: it stands for itself."""

    number: int
    before: str
    act: Act
    ends: int = 0

    def encode(self) -> bytes:
        """Without the line's end."""
        return canonical(asdict(self.act) | {"number": self.number, "before": self.before, "ends": self.ends})

    @property
    def digest(self) -> str:
        return sha256(self.encode())


def fit(act: Act) -> Act:
    """The same with texts that are short enough, and of letters."""
    texts: dict[str, Any] = {name: _text(getattr(act, name), most) for name, most in LENGTHS.items()}
    return replace(act, **texts)


def parse(data: bytes) -> Line:
    """Raises:
    LineError: it is none, or was not written by this program.
    """
    try:
        row = json.loads(data)
        act = Act(**{each.name: row.pop(each.name) for each in fields(Act)})
        line = Line(**row, act=act)
        right = all(type(each) is int for each in (line.number, line.ends, act.time)) and line.encode() == data
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise LineError("this is no line of an audit log") from error
    if not right or any(type(getattr(act, name)) is not str for name in LENGTHS):
        raise LineError("this line is not as it was written")
    return line


def _text(text: str, most: int) -> str:
    words = "".join(each if each.isprintable() else " " for each in text[: 4 * most])
    return " ".join(words.split())[:most]
