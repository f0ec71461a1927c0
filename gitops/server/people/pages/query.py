"""Parameters of a page, out of a query string. Pure.

In: the text after `?`. Out: a `View`, or a `QueryError` that names the parameter and what it may be. Rules: every
parameter and every value has a bound; one that is not known, or comes twice, is an error and is never guessed at; a
text is looked for as it is, without patterns, so that no question costs more than another; equal views have one text.

    view = FLEET.read("health=Missing&page=2")
    view["health"], view.number("page")     # "Missing", 2
    view.link(page=3)                       # "?health=Missing&page=3"
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from unicodedata import category
from urllib.parse import parse_qsl, urlencode

from gitops.server.people.documents import QueryError

LONGEST, TEXT = 8000, 200
"""Characters of a query string, and of one value."""
PER, MOST_PER, MOST_PAGES = 50, 500, 100_000
REFRESH = (10, 3600)


@dataclass(frozen=True)
class Parameter:
    """What a parameter may be: one of `words`, a whole number from `least` to `most`, or else any text."""

    words: tuple[str, ...] = ()
    least: int = 0
    most: int = 0
    default: str = ""

    def wrong(self, value: str) -> str:
        """What is wrong with a value; empty: nothing."""
        if self.words:
            return "" if value in self.words else f"is one of {', '.join(self.words)}"
        if self.most:
            right = value.isascii() and value.isdecimal() and len(value) < 12 and self.least <= int(value) <= self.most
            return "" if right else f"is a number from {self.least} to {self.most}"
        if len(value) > TEXT:
            return f"has at most {TEXT} characters"
        return "has control characters" if any(category(letter) == "Cc" for letter in value) else ""


NUMBER = Parameter(least=1, most=MOST_PAGES, default="1")
PAGING = {"page": NUMBER, "per": Parameter(least=1, most=MOST_PER, default=str(PER))}
LIVE = {"refresh": Parameter(least=REFRESH[0], most=REFRESH[1])}


@dataclass(frozen=True)
class Query:
    """The parameters of a page. `path`: where it is."""

    path: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    def read(self, text: str) -> "View":
        """Raises:
        QueryError: a parameter is not known, comes twice, or has no such value.
        """
        if len(text) > LONGEST:
            raise QueryError(f"the parameters have more than {LONGEST} characters")
        try:
            pairs = parse_qsl(
                text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=50, errors="strict"
            )
        except ValueError:
            raise QueryError("the parameters are not NAME=VALUE&NAME=VALUE in UTF-8") from None
        values: dict[str, str] = {}
        for name, value in pairs:
            parameter = self.parameters.get(name)
            if parameter is None:
                known = ", ".join(self.parameters) or "none"
                raise QueryError(f"there is no parameter {_shown(name)}", hint=f"this page has: {known}")
            if name in values:
                raise QueryError(f"the parameter {name} comes twice")
            if value and (why := parameter.wrong(value)):
                raise QueryError(f"the parameter {name} {why}; it is {_shown(value)}")
            values[name] = value
        return self.view(values)

    def view(self, values: Mapping[str, str]) -> "View":
        """Without what says nothing, in the order of the page."""
        said = {name: values[name] for name, each in self.parameters.items() if values.get(name, "") != ""}
        return View(self, {name: value for name, value in said.items() if value != self.parameters[name].default})


@dataclass(frozen=True)
class View:
    """A page with its parameters, those that say something."""

    query: Query
    values: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, self.query.parameters[name].default)

    def number(self, name: str) -> int:
        """Zero: it says nothing."""
        return int(self[name] or 0)

    @property
    def text(self) -> str:
        """The query string; equal views have the same."""
        return urlencode(self.values)

    def link(self, **changed: object) -> str:
        """The address of the same page with other parameters, from its first part on unless they say another."""
        fresh = {"page": "1"} if "page" in self.query.parameters else {}
        view = self.query.view({**self.values, **fresh, **{name: str(value) for name, value in changed.items()}})
        return f"{self.query.path}?{view.text}" if view.values else self.query.path


def _shown(value: str) -> str:
    return repr(value if len(value) <= TEXT else value[:TEXT] + "…")
