"""A part of a long list. Pure.

part = Part.of(rows, view)
part.rows, part.total, part.last, part.here     # those of this part, how many in all, its last number
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from gitops.model import Json
from gitops.server.people.pages.query import View

T = TypeVar("T")


@dataclass(frozen=True)
class Part(Generic[T]):
    """`page`: which part this is, from 1 on; `pages`: how many there are, at least one."""

    rows: Sequence[T]
    total: int
    page: int
    pages: int
    first: int

    @classmethod
    def of(cls, rows: Sequence[T], view: View) -> "Part[T]":
        """Beyond the end there is the last part."""
        per = view.number("per")
        pages = max(-(-len(rows) // per), 1)
        page = min(view.number("page"), pages)
        start = (page - 1) * per
        return cls(rows[start : start + per], len(rows), page, pages, start + 1 if rows else 0)

    @property
    def end(self) -> int:
        """The number of its last row."""
        return self.first + len(self.rows) - 1 if self.rows else 0

    @property
    def numbers(self) -> Json:
        """For JSON."""
        return {"total": self.total, "page": self.page, "pages": self.pages}
