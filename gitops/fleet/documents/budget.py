"""What the levels of one fleet may come to together, and how many hints its mistakes are worth.

In: what is made of a few bytes of a fleet repo: a file's text that 500 entries name, a template that is filled in for
each box, a boot spec that is read for each role. Out: nothing, or `SpentError`. Rules: one budget for a whole fleet,
however it is cut into files; a hint costs what it takes to look for, and past that mistakes are told without one; where
nobody opened a budget, nothing is counted.

    with budget():
        spend(sys.getsizeof(text), "boxes/demo-1.yaml", 4)
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Self

from gitops.errors import Problem

EXPANDED = 64 << 20
"""Bytes of all that levels expand to."""
OF_BOX = 10 << 10
"""Bytes that each box may bring besides, of templates that are filled in for it: 10,000 boxes are no attack."""
HINTING = 20_000_000
"""Pairs of letters that are compared for all hints: some seconds."""
MISTAKES = 10_000
"""Mistakes of one fleet that are told: whoever has more has made one many times."""


class SpentError(Exception):
    """The budget is used up. `problem` is what to say of it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass
class _Left:
    expanded: int = field(default_factory=lambda: EXPANDED)
    counted: set[object] = field(default_factory=set)
    hinting: int = HINTING


_LEFT: ContextVar[_Left | None] = ContextVar("fleet budget", default=None)


@contextmanager
def budget() -> Iterator[None]:
    """One fleet's."""
    token = _LEFT.set(_Left())
    try:
        yield
    finally:
        _LEFT.reset(token)


def spend(size: int, file: str, line: int = 1, *, once: object = None) -> None:
    """Count bytes that `file` brings in at `line`. `once`: what is shared by whoever has it, and counts one time.

    Raises:
        SpentError: there were not as many left.
    """
    left = _LEFT.get()
    if left is None or once in left.counted:
        return
    left.counted |= set() if once is None else {once}
    left.expanded -= size
    if left.expanded < 0:
        message = f"what the levels expand to is more than {EXPANDED >> 20} MiB"
        hint = "put large files into a package, and files that many boxes share into their role"
        raise SpentError(Problem(file, line, 1, message, hint))


class OwnBudget:
    """What is made for one box alone: past its own bytes, the fleet's count."""

    def __init__(self, file: str) -> None:
        self._file, self._left = file, OF_BOX

    def spend(self, size: int) -> None:
        """Raises SpentError as `spend`."""
        free = min(size, self._left)
        self._left -= free
        spend(size - free, self._file)


def may_hint(work: int) -> bool:
    """Whether a hint that takes so many comparisons may be looked for."""
    left = _LEFT.get()
    if left is None:
        return True
    left.hinting -= work
    return left.hinting >= 0  # past one that would take too long, there are no others: the first mistakes count


class Mistakes(list[Problem]):
    """Problems, as many as are told. Each way to add some raises `SpentError` past that."""

    def append(self, problem: Problem) -> None:
        if len(self) >= MISTAKES:
            raise SpentError(Problem(problem.file, problem.line, problem.column, f"more than {MISTAKES} mistakes"))
        super().append(problem)

    def extend(self, problems: Iterable[Problem]) -> None:
        for each in problems:
            self.append(each)

    def __iadd__(self, problems: Iterable[Problem]) -> Self:  # type: ignore[misc, override]
        self.extend(problems)
        return self
