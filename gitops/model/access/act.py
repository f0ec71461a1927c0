"""One thing that somebody did, for the audit log: who, from where, what, to what, why, and how it ended."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Act:
    """`time`: seconds since 1970; `what`: a word such as `login`, `box.hold`; `subject`: a box, a site, a person."""

    time: int
    who: str
    how: str
    address: str
    what: str
    subject: str = ""
    reason: str = ""
    outcome: str = "done"
