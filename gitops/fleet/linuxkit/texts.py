"""Numbers that are texts: `mode: 0666`, `tag: 1.10`, `net.ipv4.ip_forward: 1`, as LinuxKit reads a build.yml.

In: YAML and the model of it. Out: the same document, each number as it was written where the model asks for a text.
Rules: Go's yaml takes any plain value for a text; a number that starts with 0 is one of octal digits only where a text
is due, and a mistake everywhere else, for it could be decimal.

    document = load(data, "pkg/getty/build.yml", problems, Texts)
    settle(document, BuildFile, problems)            # {"devices": [{"mode": "0666", ...}]}
"""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from gitops.errors import Problem
from gitops.fleet.documents.explain import tuples
from gitops.fleet.documents.yaml import MAX_DIGITS, Builder, Document, Path

_OCTAL = re.compile("[-+]?0[0-9]+")


class Number(int):
    """A whole number, and how it was written."""

    text: str = ""

    @classmethod
    def of(cls, value: int, text: str) -> "Number":
        number = cls(value)
        number.text = text
        return number


class Real(float):
    """A number with a point, and how it was written."""

    text: str = ""


class Texts(Builder):
    """Keeps how numbers were written."""

    def _scalar(self, event: Any) -> Any:
        value = super()._scalar(event)
        if isinstance(value, float):
            value = Real(value)
            value.text = event.value
        return value

    def _integer(self, event: Any, text: str) -> int:
        if _OCTAL.fullmatch(text) and len(text) <= MAX_DIGITS:
            return Number.of(0, text)
        return Number.of(super()._integer(event, text), text)


def settle(document: Document, model: type[BaseModel], problems: list[Problem]) -> None:
    """Every number of the document is a number or a text from here on, as the model asks for."""
    try:
        model.model_validate(tuples(document.value))
    except ValidationError as error:
        for each in error.errors(include_url=False):
            if each["type"] == "string_type" and isinstance(each["input"], Number | Real):
                _put(document.value, each["loc"], each["input"].text)
    for path, value in list(_numbers(document.value, ())):
        if isinstance(value, Number) and _OCTAL.fullmatch(value.text):
            hint = f'write "{value.text}" if it is a string or a mode'
            problems.append(document.problem(path, f"{value.text} can be read as octal or decimal", hint))
        _put(document.value, path, int(value) if isinstance(value, Number) else float(value))


def _numbers(value: Any, path: Path) -> Iterator[tuple[Path, Number | Real]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        if isinstance(each, Number | Real):
            yield (*path, key), each
        else:
            yield from _numbers(each, (*path, key))


def _put(value: Any, path: Any, new: Any) -> None:
    """What stands at a place, so far as there is such a place."""
    *above, last = path
    for key in above:
        value = value[key]
    value[last] = new
