"""The schedule of security updates, as fleet.yaml says it: what may move, when, and how it is offered.

patching = policy.security              # None: nothing is looked for
patching.when.after(last), patching.how, patching.soak_of(Severity.high)
"""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gitops.model.security.advisory import Severity
from gitops.model.updates.when import DAILY, When

_DIGEST = re.compile("(sha256:[0-9a-f]{12})[0-9a-f]{52}")
"""What people need not read whole."""


class How(enum.StrEnum):
    """How a run offers what it found."""

    commit = "commit"
    """A commit on the branch that deploys."""
    pull_request = "pull-request"
    """A commit on a branch of its own; on a forge, a pull request."""
    tag = "tag"
    """A commit on the branch, and a release tag with the next patch version."""


class Grouping(enum.StrEnum):
    """What goes into one commit."""

    source = "source"
    """One source package, with those that it cannot do without."""
    all = "all"


class Window(enum.StrEnum):
    """What has a schedule of its own."""

    packages = "packages"
    kernel = "kernel"


@dataclass(frozen=True)
class Patching:
    """`allow` and `leave` are globs of source packages. `severities`: of what an update must fix, empty: any, also
    nothing that is known of. `soak`: the seconds that an update must have been known before it goes out by itself, by
    severity. `merge`: what is merged by us on top of being proposed. `kernel`: when the kernel's packages have their
    turn; None: with the others."""

    severities: tuple[Severity, ...] = ()
    allow: tuple[str, ...] = ("*",)
    leave: tuple[str, ...] = ()
    when: When = DAILY
    kernel: When | None = None
    how: How = How.pull_request
    group: Grouping = Grouping.source
    soak: tuple[tuple[Severity, int], ...] = ()
    merge: tuple[Severity, ...] = ()

    def soak_of(self, severity: Severity) -> int:
        return dict(self.soak).get(severity, 0)

    def windows(self) -> dict[Window, When]:
        """Every schedule that there is."""
        kernel = {Window.kernel: self.kernel} if self.kernel else {}
        return {Window.packages: self.when, **kernel}


@dataclass(frozen=True, order=True)
class Move:
    """A source package, and its versions before and after; several, if a fleet repo has several, between commas. Or a
    tag of an image, `NAME:TAG`, and its digests."""

    source: str
    old: str
    new: str

    def __str__(self) -> str:
        return _DIGEST.sub(r"\1", f"{self.source} {self.old} -> {self.new}")


@dataclass(frozen=True)
class WindowRun:
    """A schedule's last run. Times are Unix seconds, 0: never. `last`: since when the next time is counted; `asked`:
    somebody wants one now; `retry`: when it is tried again; a run that was started later than one finished was killed.
    `unended`: how many in a row were begun, and killed, before the present one."""

    last: int = 0
    asked: int = 0
    started: int = 0
    finished: int = 0
    retry: int = 0
    outcome: str = ""
    error: str = ""
    unended: int = 0


@dataclass(frozen=True)
class Proposal:
    """A set of moves as it was offered last. `ref` is where, `base` the commit that it stands on, `locks` the digest of
    each lock that it writes. `pushed` is the commit there; `pushing` one that may be there, if we were killed. `pull`
    is its number on the forge, 0: none; `since` when the set was first seen; `deployed` the first deployed commit
    that has these locks: another one than `pushed`, where somebody pushed on top of that before."""

    ref: str
    window: Window = Window.packages
    moves: tuple[Move, ...] = ()
    base: str = ""
    locks: Mapping[str, str] = field(default_factory=dict)
    pushed: str = ""
    pushing: str = ""
    pull: int = 0
    since: int = 0
    note: str = ""
    deployed: str = ""


class Failed(enum.StrEnum):
    """Where updates failed."""

    build = "build"
    boxes = "boxes"
    """A box that took them went back: its canary, or its boot."""


@dataclass(frozen=True)
class HeldSet:
    """Moves that are not offered again as long as they are the same, and why."""

    moves: tuple[Move, ...]
    failed: Failed
    why: str
    since: int
