"""Values against a model: what does not fit becomes a `Problem` with its place in the file, and the fix.

In: a `Document`, and the model that its value should be. Out: the model, or None with every mistake in `problems`: line
and column of what a person has to change, and "did you mean", also for a key that belongs elsewhere.

    role = check(document, RoleFile, problems)      # roles/vm.yaml:2:1: unknown key `bot`; did you mean `boot`?
"""

import difflib
import functools
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from gitops.errors import Problem
from gitops.fleet.documents.budget import may_hint
from gitops.fleet.documents.shapes import SHAPES
from gitops.fleet.documents.yaml import MAX_PROBLEMS, Document
from gitops.fleet.schema import KINDS
from gitops.model import Level

Model = TypeVar("Model", bound=BaseModel)
Location = Sequence[str | int]
FILES = {Level.fleet: "fleet.yaml", Level.role: "roles/NAME.yaml", Level.box: "boxes/NAME.yaml"}


def check(document: Document, model: type[Model], problems: list[Problem]) -> Model | None:
    """The document as a model; None when it has mistakes, which are then in `problems`."""
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        problems.append(document.problem((), "keys and values are expected", "write `key: value` lines"))
        return None
    try:
        return model.model_validate(tuples(value))
    except ValidationError as error:
        errors = error.errors(include_url=False)[:MAX_PROBLEMS]
        problems.extend(explain(document, model, each) for each in errors)
        return None


def did_you_mean(name: str, known: Collection[str] | Callable[[], Collection[str]], otherwise: str = "") -> str:
    """A hint with the nearest of the names; `otherwise`, or a few of them, when none is near. What it takes long to
    gather is given as a function.

    For the first mistakes only: with 20,000 files, one hint takes seconds (`budget`).
    """
    names = known() if callable(known) and may_hint(1) else known
    if callable(names) or not may_hint((len(name) + 1) * sum(map(len, names))):
        return otherwise
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    return otherwise or (f"known: {', '.join(sorted(names)[:20])}" if names else "")


def tuples(value: Any) -> Any:
    """Lists as tuples: the models are frozen, and strict."""
    if isinstance(value, dict):
        return {key: tuples(item) for key, item in value.items()}
    return tuple(tuples(item) for item in value) if isinstance(value, list) else value


KINDS_OF_VALUES = {
    **dict.fromkeys(("tuple_type", "list_type"), "write a list: `[ONE, TWO]`"),
    **dict.fromkeys(
        ("dict_type", "mapping_type", "model_type", "dataclass_type"), "write keys and values: `{KEY: VALUE}`"
    ),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "write a whole number, without a unit"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "write `true` or `false`"),
    "string_type": "put it into quotes",
}
"""What to write where a value is of another kind, by pydantic's names."""
OURS = re.compile(" or (an )?instance of [A-Za-z]+$")
"""Of a message: what our classes are called is nobody's matter."""
NUMBER = re.compile(r"^(?:Tuple|List|Set|Dictionary) should have (at \w+ \d+) items? after validation, not (.+)$")


def explain(document: Document, model: type[BaseModel], error: Any) -> Problem:
    """One of pydantic's errors. Its `[key]` in a location means a key of a mapping, not the value."""
    location = tuple(part for part in error["loc"] if part != "[key]")
    name, kind = str(location[-1]) if location else "", error["type"]
    if kind == "extra_forbidden":
        hint = _elsewhere(model, location) or did_you_mean(name, keys_at(model, location[:-1]))
        return document.problem(location, f"unknown key `{name}`", hint, key=True)
    if kind == "missing":
        return document.problem(location[:-1], f"`{name}` is missing", f"add `{name}:`")
    label = ".".join(str(part) for part in location) or "the file"
    hint = _with_key(model, location, error) or _choice(error)
    return document.problem(location, f"`{label}`: {_message(error)}", hint, key="[key]" in error["loc"])


def _with_key(model: type[BaseModel], location: Location, error: Any) -> str:
    """A hint for a word in the place of keys and values: it is meant for the first of them."""
    keys = keys_at(model, location) if error["type"] == "model_type" and isinstance(error["input"], str) else []
    return f"write `{{{keys[0]}: {error['input'][:80]}}}`" if keys and error["input"].isprintable() else ""


def _message(error: Any) -> str:
    if error["type"] == "string_pattern_mismatch":
        return f"does not match {error['ctx']['pattern']}"
    words = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return OURS.sub("", NUMBER.sub(r"has \2, and \1 are expected", words))


def _choice(error: Any) -> str:
    """A hint for a value that is none of a few (pydantic names them in its message), or of another shape or kind."""
    if error["type"] == "string_pattern_mismatch":
        return SHAPES.get(error["ctx"]["pattern"], "")
    choices = re.findall("'([^']*)'", error["msg"]) if error["type"] in ("literal_error", "enum") else []
    return did_you_mean(str(error["input"]), choices) if choices else KINDS_OF_VALUES.get(error["type"], "")


def top_of(model: type[BaseModel], name: str) -> list[str]:
    """The keys at the top of a file below which a key may stand."""
    return [place[0] for place in _places(model) if place[-1] == name]


def _elsewhere(model: type[BaseModel], location: Location) -> str:
    """A hint for a key that belongs to another level of this file, or to another kind of file."""
    name = str(location[-1])
    for place in _places(model):
        if place[-1] == name:
            where = f"below `{'.'.join(place[:-1])}`" if place[:-1] else "at the top of the file"
            return f"did you mean `{name}` {where}?"
    kinds = [FILES[level] for level, other in KINDS.items() if model in KINDS.values() and name in other.model_fields]
    return f"did you mean `{name}` in {' or '.join(kinds)}?" if kinds else ""


@functools.cache
def _places(model: type[BaseModel]) -> tuple[tuple[str, ...], ...]:
    """Every key of a model and of the models in it, the outer ones first."""
    return tuple(_each_place(model))


def _each_place(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    yield from ((info.alias or name,) for name, info in model.model_fields.items())
    for name, info in model.model_fields.items():
        inner = _model_in(info.annotation)
        if inner is not None and inner is not model:
            yield from ((info.alias or name, *place) for place in _places(inner))


def keys_at(model: type[BaseModel], location: Location) -> list[str]:
    """The keys that may stand at a place inside a model."""
    names = tuple(part for part in location if isinstance(part, str))
    return [place[-1] for place in _places(model) if place[:-1] == names]


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((inner for each in get_args(annotation) if (inner := _model_in(each)) is not None), None)
