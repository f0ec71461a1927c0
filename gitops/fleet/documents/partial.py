"""A file with mistakes, as far as it can be read: what is wrong in it hides nothing else.

In: a `Document` that may have doubtful values, and the model that it should be. Out: a `Part`: the mistakes told, what
is left without them as the model, and which parts are missing, so that nobody is told of what only follows from them.
Rules: what is wrong is left out by itself, then whatever cannot do without it; a key that must be there is stood in for
(`STAND_IN` of the model); a key that is nearly another is taken for that.

    part = partly(document, RoleFile, problems)
    part.content.cmdline, part.dropped          # -> ("quiet",), {("boot",)}
"""

import difflib
from dataclasses import dataclass, replace
from typing import Any, Generic

from pydantic import BaseModel, ValidationError

from gitops.errors import Problem
from gitops.fleet.documents.explain import KINDS_OF_VALUES, Model, explain, keys_at, top_of, tuples
from gitops.fleet.documents.yaml import MAX_PROBLEMS, Document, Path, with_second

Meant = dict[Path, int]
"""By the place of a key that a mistyped one was taken for: the number of the problem that says so."""
WHOLE: Path = ()
ROUNDS = 8
"""Times that something is left out: each time what could not do without it goes, too."""


@dataclass(frozen=True)
class Part(Generic[Model]):
    """What is left of a file, with its marks. `dropped`: places of what is not; `WHOLE`: anything may be missing."""

    document: Document
    content: Model
    dropped: frozenset[Path] = frozenset()


def nothing_of(file: str, model: type[Model]) -> Part[Model]:
    """A file that cannot be read."""
    return Part(Document(file), model.model_validate(tuples(_stand_in(model))), frozenset((WHOLE,)))


def partly(document: Document, model: type[Model], problems: list[Problem]) -> Part[Model]:
    """The document as a model, as far as it goes; every mistake is then in `problems`."""
    part = _partly(document, model, problems)
    if document.second:
        of_second = list[Problem]()
        _partly(with_second(document), model, of_second)
        problems.extend(each for each in of_second if each not in problems)
    return part


def _partly(document: Document, model: type[Model], problems: list[Problem]) -> Part[Model]:
    if not isinstance(document.value, dict | None):
        problems.append(document.problem((), "keys and values are expected", "write `key: value` lines"))
        return nothing_of(document.file, model)
    dropped, needed = set(document.doubtful), dict[str, Any]()
    left = document.without(dropped) if dropped else document
    try:
        return Part(left, model.model_validate(tuples(left.value or {})), frozenset(dropped))
    except ValidationError as error:
        left, unknown, meant = _known_keys(left, model, error, problems)
    dropped |= unknown
    for number in range(ROUNDS):
        try:
            content = model.model_validate(tuples(needed | (left.value or {})))
        except ValidationError as error:
            errors = error.errors(include_url=False)
            if number == 0:
                own = [each for each in _once(left, errors)[:MAX_PROBLEMS] if not _follows(each, dropped)]
                problems.extend(explain(left, model, each) for each in own if not _of_kind(each, meant))
                _say_kinds(left, model, [each for each in own if _of_kind(each, meant)], meant, problems)
            wrong = {_place(left.value or {}, each["loc"]) for each in errors}
            missing = {str(each["loc"][0]) for each in errors if each["type"] == "missing" and len(each["loc"]) == 1}
            needed |= {key: value for key, value in _stand_in(model).items() if key in missing}
            dropped |= {(key,) for key in missing} | wrong - {WHOLE}
            if wrong == {WHOLE} and not missing:
                break
            left = left.without(wrong)
        else:
            return Part(left, content, frozenset(dropped))
    return nothing_of(document.file, model)


def _known_keys(
    document: Document, model: type[Model], error: ValidationError, problems: list[Problem]
) -> tuple[Document, set[Path], Meant]:
    """The file without keys that nobody knows, which are told: one that is nearly another is taken for that."""
    unknown = [each for each in error.errors(include_url=False) if each["type"] == "extra_forbidden"]
    if not unknown:
        return document, set(), {}
    told = len(problems)
    problems.extend(explain(document, model, each) for each in unknown[:MAX_PROBLEMS])
    meant: dict[Path, str] = {}
    for each in unknown[:MAX_PROBLEMS]:
        *above, name = place = tuple(each["loc"])
        near = difflib.get_close_matches(str(name), keys_at(model, above), n=1)
        if near and (*above, near[0]) not in document.marks and (*above, near[0]) not in _renamed(meant):
            meant[place] = near[0]
    others = {tuple(each["loc"]) for each in unknown} - meant.keys()
    first = [each["loc"] for each in unknown[:MAX_PROBLEMS] if len(each["loc"]) == 1]
    below = {(top,) for place in first if place in others for top in top_of(model, str(place[0]))}
    numbers = {tuple(each["loc"]): told + index for index, each in enumerate(unknown[:MAX_PROBLEMS])}
    return document.without(others, meant), others | below, {(*p[:-1], near): numbers[p] for p, near in meant.items()}


def _of_kind(error: Any, meant: Meant) -> bool:
    """Whether it says that the value of a mistyped key is of another kind than that of the key it was taken for."""
    return error["type"] in KINDS_OF_VALUES and tuple(error["loc"]) in meant


def _say_kinds(
    document: Document, model: type[Model], errors: list[Any], meant: Meant, problems: list[Problem]
) -> None:
    """A mistyped key is one mistake: what its value should be is said with the key, if that one was meant at all."""
    for each in errors:
        number = meant[tuple(each["loc"])]
        told, kind = problems[number], explain(document, model, each).hint
        if told.hint == f"did you mean `{each['loc'][-1]}`?" and kind:
            problems[number] = replace(told, hint=f"{told.hint} then {kind}")


def _renamed(meant: dict[Path, str]) -> set[Path]:
    return {(*place[:-1], name) for place, name in meant.items()}


def _stand_in(model: type[BaseModel]) -> dict[str, Any]:
    found: dict[str, Any] = getattr(model, "STAND_IN", {})
    return found


def _once(document: Document, errors: list[Any]) -> list[Any]:
    """Of a value that may be of several types, pydantic tells an error for each of them."""
    places: dict[Path, Any] = {}
    for each in errors:
        several = each["type"] != "missing" and "[key]" not in each["loc"]
        place = _place(document.value or {}, each["loc"]) if several else each["loc"]
        places.setdefault(place, each | {"loc": place})
    return list(places.values())


def _follows(error: Any, dropped: set[Path]) -> bool:
    """Whether it is only said because of what is left out already."""
    place = tuple(error["loc"])
    if error["type"] == "missing":
        return place in dropped
    return error["type"] == "value_error" and any(path[: len(place)] == place for path in dropped)


def _place(value: Any, location: tuple[str | int, ...]) -> Path:
    """The nearest part around an error that is in the file: of its location, the rest is pydantic's own."""
    place: Path = ()
    for part in location:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            break
        place = (*place, part)
    return place
