"""Strict YAML: plain values, each with the line and column where it stands.

In: the bytes of one file. Out: a `Document` (dicts with string keys, lists, strings, numbers, booleans, None), or None
with what is wrong in `problems`. Every mistake of a file that can be read on is collected.

Refused: anchors, aliases, tags, directives, merge keys, duplicate keys, several documents, control characters, what is
not UTF-8, and what is too large, deep or many. Scalars follow YAML 1.2's core schema (`no`, `on`, `12:30` are
strings); a number that starts with 0 is refused, because YAML 1.1 reads it as octal.

`load` gives what has no mistake; `read` gives a file with some, too, and says which of its values count for nothing.

    document = load(tree.read("fleet.yaml"), "fleet.yaml", problems)
    document.value["source"]["branch"]; document.mark(("source", "branch"))    # -> "main", (3, 11)
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import yaml

from gitops.errors import Problem

MAX_BYTES = 1 << 20
MAX_NODES = 50_000
"""Scalars, lists and mappings of one file."""
MAX_DEPTH = 32
MAX_PROBLEMS = 100
"""Mistakes of one file that are reported: whoever has more has made one many times."""
MAX_DIGITS = 18
"""Digits of an integer: what fits 64 bits everywhere."""

Path = tuple[str | int, ...]
Mark = tuple[int, int]
"""Line and column, from 1."""

SECOND = "duplicate"
"""Below a path: where its second value stands."""
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Control characters, and those that make text look like other text."""
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass
class Document:
    """A file's value, and where each part of it stands. A path of keys and indexes names a part; `()` is the whole."""

    file: str
    value: Any = None
    marks: dict[Path, Mark] = field(default_factory=dict)
    keys: dict[Path, Mark] = field(default_factory=dict)
    doubtful: frozenset[Path] = frozenset()
    """Parts that have a mistake as YAML: their values mean nothing."""
    reset: set[Path] = field(default_factory=set)
    override: set[Path] = field(default_factory=set)
    """Parts with a tag that a dialect knows: those that are taken away, and those that take another one's place."""
    second: dict[Path, Any] = field(default_factory=dict)
    """Of a key that is there twice: the other value. What a second list or mapping adds is in `value`, beside the first
    one's; `added` are where its list entries stand."""
    added: set[Mark] = field(default_factory=set)

    def mark(self, path: Sequence[str | int], *, key: bool = False) -> Mark:
        """Where a part stands (or its key); for a part that is not there, where the nearest one around it does."""
        where = tuple(path)
        if key and where in self.keys:
            return self.keys[where]
        while where and where not in self.marks:
            where = where[:-1]
        return self.marks.get(where, (1, 1))

    def problem(self, path: Sequence[str | int], message: str, hint: str = "", *, key: bool = False) -> Problem:
        """A mistake at a part of this file."""
        return Problem(self.file, *self.mark(path, key=key), message, hint)

    def part(self, path: Sequence[str | int], value: Any) -> "Document":
        """A part of this file, to be checked by itself: with `value` in its place, and the marks where they were."""
        start, length = tuple(path), len(path)
        marks = {where[length:]: mark for where, mark in self.marks.items() if where[:length] == start}
        keys = {where[length:]: mark for where, mark in self.keys.items() if where[:length] == start}
        return Document(self.file, value, marks, keys)

    def without(self, paths: Collection[Path], renamed: Mapping[Path, str] = MappingProxyType({})) -> "Document":
        """The file as if these parts were not in it, and these keys had other names; what follows in a list moves up,
        and its marks with it."""
        left = Document(self.file, reset=self.reset, override=self.override)

        def copy(value: Any, old: Path, new: Path) -> Any:
            if old in self.marks:  # within a fragment there is none
                left.marks[new] = self.marks[old]
            if old in self.keys:
                left.keys[new] = self.keys[old]
            if isinstance(value, dict):
                kept = {key: renamed.get((*old, key), key) for key in value if (*old, key) not in paths}
                return {name: copy(value[key], (*old, key), (*new, name)) for key, name in kept.items()}
            if isinstance(value, list):
                rows = [index for index in range(len(value)) if (*old, index) not in paths]
                return [copy(value[index], (*old, index), (*new, place)) for place, index in enumerate(rows)]
            return value

        left.value = copy(self.value, (), ())
        return left


def with_second(document: Document) -> Document:
    """The file as if the second values counted: each place as it would be read without the first one."""

    def taken(value: Any, path: Path) -> Any:
        if path in document.second:
            return document.second[path]
        if isinstance(value, dict):
            return {key: taken(each, (*path, key)) for key, each in value.items()}
        return [taken(each, (*path, index)) for index, each in enumerate(value)] if isinstance(value, list) else value

    marks = {path: document.mark((*path, SECOND)) for path in document.second}
    return Document(document.file, taken(document.value, ()), document.marks | marks, document.keys, document.doubtful)


class StopReading(Exception):  # noqa: N818 - no error of its own: the problem is reported
    """The rest of the file cannot be judged."""


def load(data: bytes, file: str, problems: list[Problem], dialect: "type[Builder] | None" = None) -> Document | None:
    """Read one file. None when it has mistakes, which are then in `problems`. An empty file gives the value None.

    `dialect` reads what is another format's own affair (fragments.py).
    """
    before = len(problems)
    document = read(data, file, problems, dialect)
    return document if len(problems) == before else None


def read(data: bytes, file: str, problems: list[Problem], dialect: "type[Builder] | None" = None) -> Document | None:
    """Read one file, which may have mistakes: they are in `problems`, and where its values mean nothing, in `doubtful`.
    None when it cannot be read to its end.
    """
    if len(data) > MAX_BYTES:
        problems.append(Problem(file, 1, 1, f"{len(data)} bytes are too many", f"use at most {MAX_BYTES} bytes a file"))
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        problems.append(Problem(file, line, column, "not UTF-8", "save the file as UTF-8"))
        return None
    builder = (dialect or Builder)(Document(file), problems)
    try:
        builder.build(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problems.append(
            Problem(file, *place, f"not YAML: {error.problem or error.context}", "check indentation and quotes")
        )
    except yaml.YAMLError as error:
        problems.append(Problem(file, 1, 1, f"not YAML: {str(error).splitlines()[0]}", "remove what is no text"))
    except StopReading:
        pass
    else:
        return builder.document
    return None


class Builder:
    """Turns libyaml's events into values: no node is made for what is refused, and nothing is ever expanded."""

    def __init__(self, document: Document, problems: list[Problem]) -> None:
        self.document, self._problems = document, problems
        self._nodes = self._noted = 0
        self._at: Path | None = None

    def build(self, text: str) -> None:
        events: Iterator[Any] = iter(yaml.parse(text, yaml.CSafeLoader))
        next(events)
        for event in events:
            if isinstance(event, yaml.StreamEndEvent):
                return
            if self._nodes:
                self.note(event, "a second document", "keep one document a file")
                raise StopReading
            if event.version or event.tags:
                self.note(event, "a YAML directive", "remove the line that begins with %")
            self.document.value = self._value(next(events), events, (), 0)
            next(events)

    def _value(self, event: Any, events: Iterator[Any], path: Path, depth: int) -> Any:
        self._nodes += 1
        self._at = path
        self.document.marks[_one(path)] = _mark(event)
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            limit = f"at most {MAX_NODES} values, {MAX_DEPTH} deep"
            self.note(event, "the file holds too much", f"use {limit}")
            raise StopReading
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        if event.tag:
            self._tag(event, path)
        return self._anchored(event, events, path, depth) if event.anchor else self._plain(event, events, path, depth)

    def _tag(self, event: Any, path: Path) -> None:
        self.note(event, f"tag {event.tag}", "remove it; quote the value if it is a string")

    def _alias(self, event: Any, depth: int) -> Any:
        self.note(event, f"alias *{event.anchor}", "write the value out")

    def _anchored(self, event: Any, events: Iterator[Any], path: Path, depth: int) -> Any:
        self._at = None  # what it stands at is the value itself
        self.note(event, f"anchor &{event.anchor}", "remove it, and write the value out where it is used")
        return self._plain(event, events, path, depth)

    def _plain(self, event: Any, events: Iterator[Any], path: Path, depth: int) -> Any:
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(events, path, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path, depth)
        return self._scalar(event)

    def _mapping(self, events: Iterator[Any], path: Path, depth: int) -> dict[str, Any]:
        return self._fill({}, events, path, depth)

    def _fill(self, result: dict[str, Any], events: Iterator[Any], path: Path, depth: int) -> dict[str, Any]:
        """`result` with the keys that come; those that it has already are of a first mapping in the same place."""
        own = set[str]()
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and not event.style:
                self._at = (*path, event.value)
                self._merge(event, events, path, depth)
                continue
            self._at = (*path, str(getattr(event, "value", "")))
            key = self._key(event)
            place = (*path, key)
            if key in own:
                first, self._at = self.document.keys[place][0], None
                self.note(event, f"duplicate key `{key}`", f"the first is in line {first}; keep one")
            own.add(key)
            if key in result:
                self._again(result[key], next(events), events, place, depth + 1)
                continue
            self.document.keys[_one(place)] = _mark(event)
            result[key] = self._value(next(events), events, place, depth + 1)
        return result

    def _again(self, first: Any, event: Any, events: Iterator[Any], path: Path, depth: int) -> None:
        """A second value in one place hides no mistake: of two lists, or two mappings, all is looked at together."""
        self._nodes += 1
        plain = not getattr(event, "anchor", None) and not getattr(event, "tag", None) and depth <= MAX_DEPTH
        if plain and isinstance(event, yaml.MappingStartEvent) and isinstance(first, dict):
            self._fill(first, events, path, depth)
        elif plain and isinstance(event, yaml.SequenceStartEvent) and isinstance(first, list):
            before = len(first)
            self._extend(first, events, path, depth)
            self.document.added |= {self.document.mark((*path, index)) for index in range(before, len(first))}
        else:
            self.document.second[path] = self._value(event, events, (*path, SECOND), depth)

    def _merge(self, event: Any, events: Iterator[Any], path: Path, depth: int) -> None:
        self.note(event, "merge key `<<`", "write the keys out")
        self._value(next(events), events, (*path, "<<"), depth + 1)

    def _key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self.note(event, "a key that is no string", "use plain names as keys")
            raise StopReading
        if event.anchor or event.tag:
            self.note(event, f"anchor or tag at `{event.value}`", "write the keys out")
        self._check_text(event)
        return str(event.value)

    def _sequence(self, events: Iterator[Any], path: Path, depth: int) -> list[Any]:
        return self._extend([], events, path, depth)

    def _extend(self, result: list[Any], events: Iterator[Any], path: Path, depth: int) -> list[Any]:
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            result.append(self._value(event, events, (*path, len(result)), depth + 1))
        return result

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        self._check_text(event)
        if event.style:
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _INTEGER.fullmatch(text):
            return self._integer(event, text)
        return float(text) if _FLOAT.fullmatch(text) and len(text) <= MAX_DIGITS else text

    def _integer(self, event: Any, text: str) -> int:
        if re.fullmatch("[-+]?0[0-9]+", text):
            self.note(event, f"{text} can be read as octal or decimal", f'write "{text}" if it is a string or a mode')
        elif len(text) > MAX_DIGITS:
            self.note(event, "the number is too large", "quote it if it is a string")
        else:
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        return 0

    def _check_text(self, event: Any) -> None:
        if character := _FORBIDDEN.search(event.value):
            self.note(event, f"control character U+{ord(character[0]):04X}", "remove it")

    def note(self, event: Any, message: str, hint: str) -> None:
        self._problems.append(Problem(self.document.file, *_mark(event), message, hint))
        if self._at is not None:
            self.document.doubtful |= {self._at}
        self._noted += 1
        if self._noted >= MAX_PROBLEMS:
            raise StopReading


def _mark(event: Any) -> Mark:
    mark: Mark = _one((event.start_mark.line + 1, event.start_mark.column + 1))
    return mark


@lru_cache(maxsize=1 << 14)
def _one(place: tuple[Any, ...]) -> Any:
    """Of places that are equal, one: thousands of boxes have the same keys in the same lines."""
    return place
